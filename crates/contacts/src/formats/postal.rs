//! Postal addresses between the parts that files have and the fields that ours has.

use super::record::PostalAddress;
use super::regions;

/// An address as files have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Post box.
    pub po_box: String,
    /// Building, flat, care of.
    pub extended: String,
    /// Street; may have several lines.
    pub street: String,
    /// City.
    pub locality: String,
    /// State or province.
    pub region: String,
    /// Postal code.
    pub postal_code: String,
    /// Country in words or by code.
    pub country: String,
}

impl Parts {
    /// The address; None where all parts are blank. A country that is not known stays as the last
    /// line, so that nothing is lost.
    pub fn into_address(self) -> Option<PostalAddress> {
        let mut address_lines: Vec<String> = [&self.po_box, &self.extended, &self.street]
            .into_iter()
            .flat_map(|part| part.split('\n'))
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        let region_code = regions::code(&self.country);
        if region_code.is_none() && !self.country.is_empty() {
            address_lines.push(self.country);
        }
        let address = PostalAddress {
            region_code: region_code.unwrap_or_default().to_owned(),
            postal_code: self.postal_code,
            administrative_area: self.region,
            locality: self.locality,
            address_lines,
            ..PostalAddress::default()
        };
        (address != PostalAddress::default()).then_some(address)
    }

    /// The parts of an address, its lines all in the street.
    pub fn of(address: &PostalAddress) -> Self {
        Self {
            street: address.address_lines.join("\n"),
            locality: address.locality.clone(),
            region: address.administrative_area.clone(),
            postal_code: address.postal_code.clone(),
            country: regions::name(&address.region_code)
                .map_or_else(|| address.region_code.clone(), str::to_owned),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_itself_again() {
        let parts = Parts {
            po_box: "Box 1".into(),
            street: "1 Long Road\r\nBack entrance".into(),
            locality: "Exampletown".into(),
            country: "Deutschland".into(),
            ..Parts::default()
        };
        let address = parts.into_address().unwrap();
        assert_eq!(address.region_code, "DE");
        assert_eq!(
            address.address_lines,
            ["Box 1", "1 Long Road", "Back entrance"]
        );
        assert_eq!(Parts::of(&address).into_address(), Some(address));
    }

    #[test]
    fn an_unknown_country_is_kept_as_a_line() {
        let parts = Parts {
            country: "Atlantis".into(),
            ..Parts::default()
        };
        let address = parts.into_address().unwrap();
        assert_eq!(
            (
                address.region_code.as_str(),
                address.address_lines[0].as_str()
            ),
            ("", "Atlantis")
        );
        assert_eq!(Parts::default().into_address(), None);
    }
}
