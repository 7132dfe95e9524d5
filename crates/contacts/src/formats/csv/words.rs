//! The words of headers: what they mean alone, in which languages, and what only narrows down.

use super::target::Field;
use crate::formats::attribute;

/// Splits a header into words: lower case, at punctuation, between a small and a capital letter and
/// between letters and digits; `e mail` is one word.
pub fn words(header: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut previous = ' ';
    for c in header.trim().chars() {
        let camel = previous.is_lowercase() && c.is_uppercase();
        let mixed = previous.is_alphanumeric() && previous.is_ascii_digit() != c.is_ascii_digit();
        if (camel || mixed || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        previous = c;
    }
    if !word.is_empty() {
        words.push(word);
    }
    while let Some(at) = words
        .windows(2)
        .position(|pair| pair[0] == "e" && pair[1] == "mail")
    {
        words.splice(at..at + 2, ["email".to_owned()]);
    }
    words
}

/// The same header in English words, as far as we know them.
pub fn english(words: &[String]) -> Vec<String> {
    let phrase = words.join(" ");
    if let Some((_, english)) = PHRASES.iter().find(|(foreign, _)| *foreign == phrase) {
        return english.split(' ').map(str::to_owned).collect();
    }
    let translate = |word: &String| {
        let found = TRANSLATIONS
            .iter()
            .find(|(foreign, _)| foreign.split(' ').any(|f| f == word));
        found.map_or_else(|| word.clone(), |(_, english)| (*english).to_owned())
    };
    words
        .iter()
        .map(translate)
        .flat_map(|w| w.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Fields by their whole header, bars between the ways to write one.
pub const FIELDS: [(Field, &str); 11] = [
    (
        Field::GivenName,
        "first name|firstname|given name|givenname|fname|forename|first",
    ),
    (
        Field::FamilyName,
        "last name|lastname|family name|familyname|surname|lname|last",
    ),
    (
        Field::DisplayName,
        "display name|full name|fullname|formatted name|complete name|name|contact name",
    ),
    (
        Field::ClientName,
        "client name|customer name|client|customer",
    ),
    (
        Field::Title,
        "job title|organization title|title|position|job position|designation|job|jobtitle",
    ),
    (
        Field::Organization,
        "organization|organisation|company|company name|organization name|organisation name|\
         account name|company account|employer|business name|firm|firm name|associated company|\
         company organization|organisation company|organization company",
    ),
    (
        Field::Note,
        "note|notes|description|comment|comments|remark|remarks|private notes|public notes|\
         additional notes|memo",
    ),
    (
        Field::Owner,
        "owner|contact owner|account owner|lead owner|owner name|assigned to|person owner",
    ),
    (
        Field::TaxId,
        "tax id|tax number|vat|vat id|vat number|vat registration number|tax registration number|\
         tax identification number|gst number|tin",
    ),
    (Field::LegalName, "legal name|registered name"),
    (
        Field::RequestedStage,
        "lifecycle stage|requested stage|contact stage",
    ),
];

/// Attributes by their whole header.
pub const ATTRIBUTES: [(&str, &str); 28] = [
    (
        attribute::MIDDLE_NAME,
        "middle name|middle names|additional name|additional names|middle",
    ),
    (
        attribute::NAME_PREFIX,
        "name prefix|prefix|salutation|honorific|honorific prefix|courtesy title",
    ),
    (
        attribute::NAME_SUFFIX,
        "name suffix|suffix|honorific suffix|generational suffix",
    ),
    (attribute::NICKNAME, "nickname|nick name"),
    (
        attribute::DEPARTMENT,
        "department|organization department|company department",
    ),
    (attribute::ROLE, "profession|occupation"),
    (
        attribute::BIRTHDAY,
        "birthday|birth date|birthdate|date of birth|dob",
    ),
    (attribute::ANNIVERSARY, "anniversary"),
    (attribute::GENDER, "gender|sex"),
    (attribute::CONFIRMED, "confirm time|confirmed"),
    ("initials", "initials"),
    ("maiden_name", "maiden name"),
    (
        "phonetic_first_name",
        "phonetic first name|given name yomi|first name phonetic",
    ),
    (
        "phonetic_middle_name",
        "phonetic middle name|additional name yomi",
    ),
    (
        "phonetic_last_name",
        "phonetic last name|family name yomi|last name phonetic",
    ),
    ("file_as", "file as"),
    ("screen_name", "screen name"),
    ("spouse", "spouse"),
    ("children", "children"),
    ("hobby", "hobby"),
    ("language", "language|preferred language"),
    ("referred_by", "referred by"),
    ("manager", "manager s name|manager"),
    ("assistant", "assistant s name|assistant"),
    ("office_location", "office location"),
    ("lead_source", "lead source|original source"),
    ("industry", "industry"),
    (
        EMAIL_OPT_OUT,
        "email opt out|has opted out of email|email opted out|unsubscribed",
    ),
];

/// The attribute that says whether somebody wants no mails; 1 or 0, yes or no become a truth value.
pub const EMAIL_OPT_OUT: &str = "email_opt_out";

/// Labels, several in a cell, by the whole header.
pub const LABELS: &str =
    "labels|label|tags|tag|categories|category|groups|group|group membership|contact tags";

/// The key in the program that wrote the file, by the whole header.
pub const EXTERNAL_IDS: &str =
    "record id|contact id|lead id|customer id|client id|person id|euid|id";

/// Words that say only that the row is about somebody.
pub const NEUTRAL: [&str; 12] = [
    "person",
    "contact",
    "customer",
    "client",
    "lead",
    "member",
    "subscriber",
    "recipient",
    "user",
    "default",
    "current",
    "your",
];

/// Words that say which of several addresses or numbers is meant, and become its label.
pub const QUALIFIERS: [&str; 31] = [
    "home",
    "private",
    "personal",
    "work",
    "business",
    "office",
    "other",
    "main",
    "primary",
    "preferred",
    "secondary",
    "alternate",
    "alternative",
    "additional",
    "second",
    "third",
    "mailing",
    "billing",
    "shipping",
    "delivery",
    "ship",
    "to",
    "permanent",
    "company",
    "direct",
    "invoice",
    "registered",
    "visiting",
    "school",
    "assistant",
    "daytime",
];

/// Kinds of phone numbers, which also become the label.
pub const PHONE_KINDS: [&str; 18] = [
    "mobile",
    "cell",
    "cellphone",
    "cellular",
    "fax",
    "pager",
    "telex",
    "isdn",
    "callback",
    "tty",
    "tdd",
    "radio",
    "car",
    "whatsapp",
    "sms",
    "landline",
    "toll",
    "free",
];

/// Whole headers of other languages that cannot be translated word by word.
const PHRASES: [(&str, &str); 22] = [
    ("nom", "last name"),
    ("nom de famille", "last name"),
    ("nom complet", "full name"),
    ("nom de l entreprise", "company name"),
    ("raison sociale", "company name"),
    ("code postal", "postal code"),
    ("adresse email", "email address"),
    ("adresse de messagerie", "email address"),
    ("courrier électronique", "email"),
    ("date de naissance", "birthday"),
    ("site web", "website"),
    ("nombre", "first name"),
    ("nombre completo", "full name"),
    ("correo electrónico", "email"),
    ("código postal", "postal code"),
    ("sitio web", "website"),
    ("cargo", "job title"),
    ("posta elettronica", "email"),
    ("nome completo", "full name"),
    ("código de endereçamento postal", "postal code"),
    ("vollständiger name", "full name"),
    ("weitere vornamen", "middle name"),
];

/// Words of other languages; several that mean the same stand with spaces between.
const TRANSLATIONS: [(&str, &str); 37] = [
    ("vorname prénom prenom nome voornaam", "first name"),
    (
        "nachname familienname apellido apellidos cognome achternaam sobrenome",
        "last name",
    ),
    ("anzeigename", "display name"),
    ("anrede", "salutation"),
    ("spitzname", "nickname"),
    (
        "firma firmenname unternehmen société societe entreprise empresa azienda bedrijf",
        "company",
    ),
    (
        "organisation organización organizzazione organisatie",
        "organization",
    ),
    ("abteilung", "department"),
    (
        "berufsbezeichnung funktion poste puesto qualifica functie",
        "job title",
    ),
    ("mail mailadresse emailadresse courriel correo", "email"),
    (
        "adresse dirección direccion indirizzo adres endereço",
        "address",
    ),
    (
        "telefon telefonnummer téléphone telephone teléfono telefono telefoon telefone tel",
        "phone",
    ),
    (
        "mobil handy mobiltelefon mobilnummer portable móvil movil cellulare mobiel celular",
        "mobile",
    ),
    ("telefax faxnummer", "fax"),
    ("straße strasse rue calle via straat rua", "street"),
    ("hausnummer", "unit"),
    (
        "ort stadt ville ciudad città citta stad plaats cidade localité",
        "city",
    ),
    ("plz postleitzahl cap cep", "zip"),
    ("bundesland provinz provincia estado kanton", "state"),
    ("land pays país pais paese nazione", "country"),
    (
        "geschäftlich geschaftlich dienstlich professionnel bureau trabajo lavoro werk",
        "work",
    ),
    ("privat privé privado casa", "home"),
    ("weitere andere autre otro altro", "other"),
    ("webseite internetseite internet", "website"),
    (
        "geburtstag geburtsdatum anniversaire cumpleaños compleanno verjaardag",
        "birthday",
    ),
    ("geschlecht", "gender"),
    (
        "notiz notizen bemerkung bemerkungen notas nota note opmerkingen",
        "notes",
    ),
    (
        "kategorie kategorien catégories categorías categorie",
        "categories",
    ),
    (
        "schlagwort schlagworte schlagwörter étiquettes etiquetas etichette",
        "tags",
    ),
    ("gruppe gruppen", "groups"),
    ("sprache", "language"),
    ("kunde kundenname", "customer"),
    ("ustid umsatzsteuernummer steuernummer", "vat"),
    ("zuständig besitzer", "owner"),
    ("nummer número numero numéro", "number"),
    ("postfach", "po box"),
    ("titel", "title"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_split_into_words() {
        let split = |header: &str| words(header).join(" ");
        assert_eq!(split("E-mail 1 - Value"), "email 1 value");
        assert_eq!(split("Home ZipCode"), "home zip code");
        assert_eq!(split("Billing Street2"), "billing street 2");
        assert_eq!(
            split("ship-to_postal_code/zip_code"),
            "ship to postal code zip code"
        );
        assert_eq!(split("EmailID"), "email id");
        assert_eq!(split("HasOptedOutOfEmail"), "has opted out of email");
        assert_eq!(split("Manager's Name"), "manager s name");
    }

    #[test]
    fn other_languages_become_english() {
        let translated = |header: &str| english(&words(header)).join(" ");
        assert_eq!(translated("Vorname"), "first name");
        assert_eq!(translated("E-Mail-Adresse"), "email address");
        assert_eq!(translated("Telefon gesch\u{e4}ftlich"), "phone work");
        assert_eq!(translated("Pr\u{e9}nom"), "first name");
        assert_eq!(translated("Code postal"), "postal code");
        assert_eq!(translated("Correo electr\u{f3}nico"), "email");
    }
}
