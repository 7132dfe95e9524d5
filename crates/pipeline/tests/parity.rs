//! Both engines have the same tables.

#[tokio::test]
async fn the_schemas_of_both_engines_agree() {
    let differences = store::testing::parity(&pipeline::MIGRATIONS)
        .await
        .expect("both schemas can be read");
    assert!(differences.is_empty(), "{differences:#?}");
}
