//! The programs whose exports are recognised, by columns that few others have.

use std::fmt;

use super::words::words;

/// A program that writes contact files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Our own export.
    Clientele,
    /// Google Contacts, both layouts.
    Google,
    /// Outlook and Outlook.com.
    Outlook,
    /// Thunderbird.
    Thunderbird,
    /// Mailchimp audience export.
    Mailchimp,
    /// HubSpot.
    HubSpot,
    /// Salesforce.
    Salesforce,
    /// Zoho Books.
    Zoho,
    /// Invoice Ninja.
    InvoiceNinja,
    /// Wave.
    Wave,
    /// FreshBooks.
    FreshBooks,
    /// Pipedrive.
    Pipedrive,
    /// LinkedIn connections.
    LinkedIn,
    /// Yahoo.
    Yahoo,
}

/// Program, the name people know, the system of its keys, how many of the headers are enough, and
/// the headers in words with bars between.
type Signature = (Program, &'static str, &'static str, usize, &'static str);

#[rustfmt::skip]
const SIGNATURES: [Signature; 14] = [
    (Program::Clientele, "Clientele", "clientele", 2, "clientele contact|clientele more"),
    (Program::Google, "Google Contacts", "google", 2,
     "email 1 value|email 1 label|email 1 type|phone 1 value|phone 1 label|phone 1 type|\
      phonetic first name|phonetic last name|yomi name|given name yomi|group membership|\
      organization 1 name|organization department|website 1 value|address 1 formatted"),
    (Program::Outlook, "Outlook", "outlook", 3,
     "email 2 address|email 3 address|business phone|business phone 2|home phone 2|\
      company main phone|business street|internet free busy|tty tdd phone|manager s name|\
      organizational id number|business fax|other street|directory server"),
    (Program::Thunderbird, "Thunderbird", "thunderbird", 2,
     "primary email|secondary email|screen name|display name|home zip code|work zip code|\
      web page 1|web page 2|birth year|home address 2|work address 2|pager number"),
    (Program::Mailchimp, "Mailchimp audience export", "mailchimp", 2,
     "member rating|optin time|optin ip|confirm time|confirm ip|gmtoff|dstoff|leid|euid"),
    (Program::HubSpot, "HubSpot", "hubspot", 2,
     "record id|lifecycle stage|contact owner|lead status|associated company|\
      associated company i ds|marketing contact status|last activity date"),
    (Program::Salesforce, "Salesforce", "salesforce", 2,
     "account name|mailing street|mailing city|mailing state province|mailing postal code|\
      mailing zip postal code|lead source|email opt out|has opted out of email|account owner|\
      lead owner|company account|mobile phone"),
    (Program::Zoho, "Zoho Books", "zoho", 3,
     "customer sub type|billing attention|shipping attention|email id|credit limit|contact type|\
      customer address id|last sync time|payment terms label"),
    (Program::InvoiceNinja, "Invoice Ninja", "invoice-ninja", 2,
     "paid to date|billing apt suite|shipping apt suite|public notes|private notes"),
    (Program::Wave, "Wave", "wave", 3,
     "customer name|contact first name|contact last name|customer currency|ship to contact|\
      delivery instructions|toll free"),
    (Program::FreshBooks, "FreshBooks", "freshbooks", 2, "organization|province state"),
    (Program::Pipedrive, "Pipedrive", "pipedrive", 2,
     "person name|organization name|person email work|person email home|person phone work|\
      person phone mobile|person owner|person created"),
    (Program::LinkedIn, "LinkedIn connections", "linkedin", 1, "connected on"),
    (Program::Yahoo, "Yahoo", "yahoo", 2,
     "yahoo id|messenger id|alternate email 1|distribution lists|yahoo phone"),
];

impl Program {
    /// The program that writes these headers, if it is known.
    pub fn recognise(headers: &[String]) -> Option<Self> {
        let phrases: Vec<String> = headers
            .iter()
            .map(|header| words(header).join(" "))
            .collect();
        let hits = |wanted: &str| {
            wanted
                .split('|')
                .filter(|one| phrases.iter().any(|phrase| phrase == one))
                .count()
        };
        SIGNATURES
            .iter()
            .map(|(program, _, _, enough, wanted)| (*program, hits(wanted), *enough))
            .filter(|(_, hits, enough)| hits >= enough)
            // Our own layout borrows headers of others; of the rest the best match counts, and the
            // first of equals.
            .reduce(|best, next| {
                if next.1 > best.1 && best.0 != Self::Clientele {
                    next
                } else {
                    best
                }
            })
            .map(|(program, ..)| program)
    }

    /// The name people know it by.
    pub fn name(self) -> &'static str {
        self.signature().map_or("", |signature| signature.1)
    }

    /// The name under which its keys are external ids.
    pub fn system(self) -> &'static str {
        self.signature().map_or("", |signature| signature.2)
    }

    /// Whether its rows are clients, who may be companies, with a person beside.
    pub(crate) fn lists_clients(self) -> bool {
        self == Self::InvoiceNinja
    }

    fn signature(self) -> Option<&'static Signature> {
        SIGNATURES.iter().find(|signature| signature.0 == self)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
