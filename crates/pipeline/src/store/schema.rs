//! The tables of `migrations/pipeline`, as Diesel sees them.

diesel::table! {
    workspaces (workspace) {
        workspace -> Text,
        activation -> BigInt,
        activating -> BigInt,
        create_time -> BigInt,
    }
}

diesel::table! {
    workspace_intents (workspace) {
        workspace -> Text,
        until_time -> BigInt,
    }
}

diesel::table! {
    policies (workspace, policy) {
        workspace -> Text,
        policy -> Text,
        preset -> Text,
        revision -> BigInt,
        create_time -> BigInt,
    }
}

diesel::table! {
    policy_revisions (workspace, policy, revision) {
        workspace -> Text,
        policy -> Text,
        revision -> BigInt,
        definition -> Text,
        creator -> Text,
        create_time -> BigInt,
    }
}

diesel::table! {
    policy_activations (workspace, number) {
        workspace -> Text,
        number -> BigInt,
        policy -> Text,
        revision -> BigInt,
        previous_policy -> Text,
        previous_revision -> BigInt,
        previous_number -> BigInt,
        stage_map -> Text,
        state -> Text,
        position_count -> BigInt,
        move_count -> BigInt,
        stay_count -> BigInt,
        gain_counts -> Text,
        loss_counts -> Text,
        mapped_count -> BigInt,
        fenced -> Bool,
        actor -> Text,
        create_time -> BigInt,
        active_time -> Nullable<BigInt>,
        end_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    fences (workspace, activation, holder) {
        workspace -> Text,
        activation -> BigInt,
        holder -> Text,
        acknowledge_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    positions (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        kind -> Text,
        stage -> Text,
        role -> Text,
        state -> Text,
        revision -> BigInt,
        change -> BigInt,
        activation -> BigInt,
        policy -> Text,
        policy_revision -> BigInt,
        enter_time -> BigInt,
        head_hash -> Binary,
        sealed_revision -> BigInt,
        grant_revision -> BigInt,
        facts_time -> BigInt,
        refusal -> Text,
        documents_exist -> Bool,
    }
}

diesel::table! {
    transitions (workspace, contact, revision) {
        workspace -> Text,
        contact -> Text,
        revision -> BigInt,
        from_stage -> Text,
        to_stage -> Text,
        from_role -> Text,
        to_role -> Text,
        skip -> Bool,
        cause -> Text,
        actor -> Text,
        reason -> Text,
        note -> Text,
        note_digest -> Binary,
        trigger_id -> Text,
        activity -> Text,
        decision -> Text,
        policy -> Text,
        policy_revision -> BigInt,
        activation -> BigInt,
        effective_time -> BigInt,
        record_time -> BigInt,
        previous_hash -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    checkpoints (workspace, number) {
        workspace -> Text,
        number -> BigInt,
        heads -> BigInt,
        previous_hash -> Binary,
        hash -> Binary,
        record_time -> BigInt,
    }
}

diesel::table! {
    checkpoint_heads (workspace, number, contact) {
        workspace -> Text,
        number -> BigInt,
        contact -> Text,
        revision -> BigInt,
        hash -> Binary,
    }
}

diesel::table! {
    holders (holder) {
        holder -> Text,
        epoch -> BigInt,
        attached_epoch -> BigInt,
        attach_time -> BigInt,
        forget_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    workspace_holders (workspace, holder) {
        workspace -> Text,
        holder -> Text,
    }
}

diesel::table! {
    grant_holders (workspace, contact, holder) {
        workspace -> Text,
        contact -> Text,
        holder -> Text,
        holder_epoch -> BigInt,
        acknowledged_revision -> BigInt,
        documents_exist -> Bool,
        acquire_time -> BigInt,
    }
}

diesel::table! {
    pending_transitions (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        batch -> Text,
        decision -> Text,
        to_stage -> Text,
        to_role -> Text,
        moves -> Text,
        facts -> Text,
        remaining -> Text,
        policy -> Text,
        policy_revision -> BigInt,
        activation -> BigInt,
        recall_revision -> BigInt,
        epoch -> BigInt,
        actor -> Text,
        request_id -> Text,
        create_time -> BigInt,
    }
}

diesel::table! {
    evaluations (workspace, contact) {
        workspace -> Text,
        contact -> Text,
        generation -> BigInt,
        attempts -> BigInt,
        due_time -> BigInt,
    }
}

diesel::table! {
    companies (workspace, company) {
        workspace -> Text,
        company -> Text,
        primary_contact -> Text,
    }
}

diesel::table! {
    effects (workspace, contact, id) {
        workspace -> Text,
        contact -> Text,
        id -> Text,
        revision -> BigInt,
        kind -> Text,
        payload -> Text,
        create_time -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    workspaces,
    workspace_intents,
    policies,
    policy_revisions,
    policy_activations,
    fences,
    positions,
    transitions,
    checkpoints,
    checkpoint_heads,
    holders,
    workspace_holders,
    grant_holders,
    pending_transitions,
    evaluations,
    companies,
    effects,
);
