//! The table of the relay, as `migrations/store` makes it in every service's database.

diesel::table! {
    parked_changes (epoch, tx, id) {
        epoch -> BigInt,
        tx -> BigInt,
        id -> BigInt,
        workspace -> Text,
        kind -> Text,
        resource -> Text,
        contact -> Text,
        revision -> BigInt,
        payload -> Binary,
        paths -> Text,
        actor -> Text,
        request_id -> Text,
        event_id -> Text,
        record_time -> BigInt,
        reason -> Text,
        attempts -> BigInt,
        park_time -> BigInt,
        retry_time -> BigInt,
    }
}
