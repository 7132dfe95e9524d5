//! The tables of the service, as `migrations/contacts` makes them.

diesel::table! {
    contacts (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        kind -> Text,
        state -> Text,
        revision -> BigInt,
        display_key -> Text,
        given_key -> Text,
        family_key -> Text,
        company -> Text,
        owner -> Text,
        relationship_kinds -> Text,
        source_channel -> Text,
        source_campaign -> Text,
        ready_to_buy -> Bool,
        document -> Text,
        creator -> Text,
        updater -> Text,
        create_time -> BigInt,
        update_time -> BigInt,
        delete_time -> Nullable<BigInt>,
        purge_time -> Nullable<BigInt>,
        merged_into -> Text,
    }
}

diesel::table! {
    contact_terms (workspace, field, term, contact) {
        workspace -> Text,
        field -> Text,
        term -> Text,
        contact -> Text,
    }
}

diesel::table! {
    contact_external_ids (workspace, system, external_id) {
        workspace -> Text,
        system -> Text,
        external_id -> Text,
        contact -> Text,
    }
}

diesel::table! {
    contact_positions (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        stage -> Text,
        role -> Text,
        revision -> BigInt,
        epoch -> BigInt,
    }
}

diesel::table! {
    projections (service) {
        service -> Text,
        epoch -> BigInt,
        tx -> BigInt,
        id -> BigInt,
        update_time -> BigInt,
    }
}

diesel::table! {
    purged_contacts (workspace, contact) {
        workspace -> Text,
        contact -> Text,
    }
}

diesel::table! {
    imports (workspace, import) {
        workspace -> Text,
        import -> Text,
        revision -> BigInt,
        format -> Text,
        state -> Text,
        dry_run -> Bool,
        no_header -> Bool,
        mapping -> Text,
        requested_stage -> Text,
        default_region -> Text,
        run -> BigInt,
        uploaded_bytes -> BigInt,
        total_rows -> BigInt,
        done_rows -> BigInt,
        created_rows -> BigInt,
        matched_rows -> BigInt,
        refused_rows -> BigInt,
        program -> Text,
        applied_mapping -> Text,
        unused_columns -> Text,
        failure -> Text,
        actor -> Text,
        create_time -> BigInt,
        start_time -> Nullable<BigInt>,
        end_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    import_chunks (workspace, import, byte_offset) {
        workspace -> Text,
        import -> Text,
        byte_offset -> BigInt,
        data -> Binary,
    }
}

diesel::table! {
    import_rows (workspace, import, run, row_number) {
        workspace -> Text,
        import -> Text,
        run -> BigInt,
        row_number -> BigInt,
        outcome -> Text,
        contact -> Text,
        problems -> Text,
        display_name -> Text,
    }
}

diesel::table! {
    import_keys (workspace, import, run, system, external_id) {
        workspace -> Text,
        import -> Text,
        run -> BigInt,
        system -> Text,
        external_id -> Text,
        row_number -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    contacts,
    contact_terms,
    contact_external_ids,
    contact_positions,
);

diesel::allow_tables_to_appear_in_same_query!(imports, import_chunks);
