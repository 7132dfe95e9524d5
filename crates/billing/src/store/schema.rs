//! The tables of `migrations/billing`, besides those of the plumbing.

diesel::table! {
    gate (id) {
        id -> Integer,
        holder -> Text,
        holder_epoch -> BigInt,
        pipeline_epoch -> BigInt,
        attach_time -> BigInt,
    }
}

diesel::table! {
    fences (workspace) {
        workspace -> Text,
        min_policy_activation -> BigInt,
        pipeline_epoch -> BigInt,
    }
}

diesel::table! {
    grants (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        entitlements -> Text,
        grant_revision -> BigInt,
        policy_activation -> BigInt,
        policy_revision -> Text,
        holder_epoch -> BigInt,
        pipeline_epoch -> BigInt,
        state -> Text,
        tombstone -> BigInt,
        stage -> Text,
        role -> Text,
        update_time -> BigInt,
    }
}

diesel::table! {
    subjects (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        party -> Text,
        told_time -> BigInt,
    }
}

diesel::table! {
    gate_intents (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        announce_time -> BigInt,
    }
}

diesel::table! {
    invoices (workspace, invoice) {
        workspace -> Text,
        invoice -> Text,
        contact -> Text,
        currency -> Text,
        state -> Text,
        series -> Text,
        year -> Nullable<Integer>,
        sequence -> Nullable<BigInt>,
        number -> Text,
        issue_date -> Text,
        due_date -> Text,
        lines -> Text,
        adjustments -> Text,
        buyer -> Nullable<Text>,
        tax_subtotals -> Text,
        line_total -> BigInt,
        allowance_total -> BigInt,
        charge_total -> BigInt,
        net_total -> BigInt,
        tax_total -> BigInt,
        gross_total -> BigInt,
        prepaid -> BigInt,
        rounding -> BigInt,
        payable_total -> BigInt,
        note -> Text,
        labels -> Text,
        grant_revision -> BigInt,
        policy_revision -> Text,
        revision -> BigInt,
        creator -> Text,
        updater -> Text,
        create_time -> BigInt,
        update_time -> BigInt,
        issue_time -> Nullable<BigInt>,
        hash -> Nullable<Binary>,
    }
}

diesel::table! {
    invoice_series (workspace, series, year) {
        workspace -> Text,
        series -> Text,
        year -> Integer,
        last_sequence -> BigInt,
        last_hash -> Binary,
    }
}

diesel::table! {
    projects (workspace, project) {
        workspace -> Text,
        project -> Text,
        display_name -> Text,
        display_key -> Text,
        state -> Text,
        description -> Text,
        labels -> Text,
        revision -> BigInt,
        creator -> Text,
        updater -> Text,
        create_time -> BigInt,
        update_time -> BigInt,
    }
}

diesel::table! {
    assignments (workspace, project, contact) {
        workspace -> Text,
        project -> Text,
        contact -> Text,
        role_in_project -> Text,
        grant_revision -> BigInt,
        policy_revision -> Text,
        revision -> BigInt,
        creator -> Text,
        create_time -> BigInt,
        end_time -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(fences, gate, gate_intents, grants, subjects);
diesel::allow_tables_to_appear_in_same_query!(invoices, invoice_series);
