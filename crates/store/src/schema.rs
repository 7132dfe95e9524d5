//! The tables that every service's database has, as `migrations/store` makes them.

diesel::table! {
    database_state (id) {
        id -> Integer,
        epoch -> BigInt,
        system_id -> Text,
        timeline -> BigInt,
        restores -> BigInt,
        pruned_epoch -> BigInt,
        pruned_tx -> BigInt,
        pruned_id -> BigInt,
    }
}

diesel::table! {
    change_log (epoch, tx, id) {
        epoch -> BigInt,
        tx -> BigInt,
        id -> BigInt,
        workspace -> Text,
        kind -> Text,
        resource -> Text,
        revision -> BigInt,
        payload -> Binary,
        paths -> Text,
        actor -> Text,
        request_id -> Text,
        event_id -> Text,
        record_time -> BigInt,
    }
}

diesel::table! {
    change_log_consumers (name) {
        name -> Text,
        epoch -> BigInt,
        tx -> BigInt,
        id -> BigInt,
        update_time -> BigInt,
    }
}

diesel::table! {
    idempotency_keys (workspace, principal, method, request_id) {
        workspace -> Text,
        principal -> Text,
        method -> Text,
        request_id -> Text,
        request_hash -> Binary,
        resource -> Nullable<Text>,
        revision -> Nullable<BigInt>,
        response -> Nullable<Binary>,
        create_time -> BigInt,
        expire_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Text,
        fencing -> BigInt,
        expire_time -> BigInt,
    }
}

diesel::table! {
    cursors (name) {
        name -> Text,
        position -> Text,
        update_time -> BigInt,
    }
}
