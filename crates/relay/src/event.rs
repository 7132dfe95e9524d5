//! A change of the log as an event: CloudEvents 1.0 in NATS' binary mode.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use prost_reflect::DynamicMessage;
use proto::convert::timestamp_to_wire;
use store::change_log::Change;
use types::Service;

use crate::kinds::{Kind, kind, word};
use crate::settings::{Format, Settings};

/// A change, ready to be published.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Bytes,
}

/// Why a change can't be told, in words for the operator.
pub(crate) type Fault = String;

/// The event of a change. The fault is one of this change alone: others can still be told.
pub(crate) fn event(
    service: Service,
    change: &Change,
    settings: &Settings,
) -> Result<Event, Fault> {
    let kind = kind(service, &change.kind).ok_or_else(|| {
        format!(
            "{} is no kind of change that this version tells of",
            change.kind
        )
    })?;
    let unread = || format!("what the log has of it is no {}", kind.message);
    let encoded = (kind.data)(change).ok_or_else(unread)?;
    let data = match settings.format {
        Format::Protobuf => encoded,
        Format::Json => json(kind, &encoded).ok_or_else(unread)?,
    };
    Ok(Event {
        subject: subject(&settings.prefix, service, change),
        headers: headers(kind, change, settings.format),
        data: data.into(),
    })
}

/// `PREFIX.SERVICE.WORKSPACE.KIND`, where the kind is two words, such as `contact.created`.
fn subject(prefix: &str, service: Service, change: &Change) -> String {
    let Change {
        workspace, kind, ..
    } = change;
    format!("{prefix}.{}.{workspace}.{kind}", word(service))
}

fn headers(kind: &Kind, change: &Change, format: Format) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, change.event_id.as_str());
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", change.event_id.as_str());
    headers.insert("ce-type", kind.event_type());
    headers.insert(
        "ce-source",
        format!("//clientele.dev/{}", word(kind.service)),
    );
    headers.insert("ce-subject", change.resource.as_str());
    headers.insert("ce-time", timestamp_to_wire(change.record_time).to_string());
    headers.insert(
        "ce-datacontenttype",
        match format {
            Format::Protobuf => "application/protobuf",
            Format::Json => "application/json",
        },
    );
    headers.insert(
        "ce-dataschema",
        format!("https://clientele.dev/schemas/{}", kind.message),
    );
    headers.insert("ce-workspace", change.workspace.as_str());
    // Compared as text, as the extension asks for: the numbers of one resource have one length.
    headers.insert("ce-sequence", format!("{:020}", change.revision));
    headers
}

/// The message in protobuf's JSON form.
fn json(kind: &Kind, encoded: &[u8]) -> Option<Vec<u8>> {
    let descriptor = proto::pool().get_message_by_name(kind.message)?;
    let message = DynamicMessage::decode(descriptor, encoded).ok()?;
    serde_json::to_vec(&message).ok()
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderValue;
    use prost::Message as _;
    use proto::contacts::v1::{Contact, ContactChange, contact_change};
    use store::change_log::LogPosition;
    use types::Micros;

    use super::*;

    fn change(kind: &str, payload: Vec<u8>) -> Change {
        Change {
            position: LogPosition::START,
            last: true,
            workspace: "acme".to_owned(),
            kind: kind.to_owned(),
            resource: "workspaces/acme/contacts/ada".to_owned(),
            revision: 3,
            payload,
            paths: "display_name,emails".to_owned(),
            actor: "local".to_owned(),
            request_id: "r1".to_owned(),
            event_id: "e1".to_owned(),
            record_time: Micros(1_700_000_000_000_000),
        }
    }

    fn ada() -> Vec<u8> {
        let contact = Contact {
            name: "workspaces/acme/contacts/ada".to_owned(),
            ..Contact::default()
        };
        contact.encode_to_vec()
    }

    fn settings(format: Format) -> Settings {
        let mut settings = Settings::new("nats://127.0.0.1").expect("settings");
        settings.format = format;
        settings
    }

    #[test]
    fn an_event_has_the_attributes_of_cloudevents() {
        let change = change("contact.updated", ada());
        let told = event(Service::Contacts, &change, &settings(Format::Protobuf));
        let told = told.expect("an event");
        assert_eq!(told.subject, "clientele.contacts.acme.contact.updated");
        for (name, value) in [
            ("Nats-Msg-Id", "e1"),
            ("ce-specversion", "1.0"),
            ("ce-id", "e1"),
            ("ce-type", "dev.clientele.contacts.contact.updated.v1"),
            ("ce-source", "//clientele.dev/contacts"),
            ("ce-subject", "workspaces/acme/contacts/ada"),
            ("ce-time", "2023-11-14T22:13:20Z"),
            ("ce-datacontenttype", "application/protobuf"),
            (
                "ce-dataschema",
                "https://clientele.dev/schemas/clientele.contacts.v1.ContactChange",
            ),
            ("ce-workspace", "acme"),
            ("ce-sequence", "00000000000000000003"),
        ] {
            let found = told.headers.get(name).map(HeaderValue::as_str);
            assert_eq!(found, Some(value), "{name}");
        }
        let data = ContactChange::decode(told.data).expect("a message");
        assert_eq!(data.kind(), contact_change::Kind::Updated);
        assert_eq!(data.changed_paths, ["display_name", "emails"]);
        assert_eq!(data.event_id, "e1");
    }

    #[test]
    fn json_is_the_same_message() {
        let change = change("contact.created", ada());
        let told = event(Service::Contacts, &change, &settings(Format::Json)).expect("an event");
        let json: serde_json::Value = serde_json::from_slice(&told.data).expect("JSON");
        assert_eq!(json["kind"], "KIND_CREATED");
        assert_eq!(json["contact"]["name"], "workspaces/acme/contacts/ada");
        assert_eq!(json["eventId"], "e1");
        let content = told
            .headers
            .get("ce-datacontenttype")
            .map(HeaderValue::as_str);
        assert_eq!(content, Some("application/json"));
    }

    #[test]
    fn what_cannot_be_told_says_why() {
        for (kind, payload, why) in [
            ("contact.painted", ada(), "contact.painted is no kind"),
            (
                "contact.created",
                vec![0xff],
                "no clientele.contacts.v1.ContactChange",
            ),
        ] {
            let told = event(
                Service::Contacts,
                &change(kind, payload),
                &settings(Format::Json),
            );
            let fault = told.expect_err(kind);
            assert!(fault.contains(why), "{fault}");
        }
    }
}
