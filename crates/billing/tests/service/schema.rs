//! Both engines have the same tables, and opening an old schema is refused.

use billing::{Billing, Config, MIGRATIONS};
use types::{Clock, Ids};

use super::support::on_every_engine;

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_have_the_same_schema() {
    let differences = store::testing::parity(&MIGRATIONS)
        .await
        .expect("the schemas");
    assert_eq!(differences, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_schema_is_refused_unless_asked_to_migrate() {
    on_every_engine(async |engine| {
        let url = engine.fresh_url().await;
        let config = |migrate| Config {
            database_url: (&*url).into(),
            migrate,
            pool_max: 4,
            pipeline_uri: "http://127.0.0.1:1".into(),
            credential: serve::Credential::None,
            tls: None,
        };
        let open = async |migrate| {
            Billing::open(config(migrate), Clock::system(), Ids::system())
                .await
                .map(|_| ())
        };
        let refused = open(false).await.expect_err("the schema is missing");
        assert!(
            matches!(refused, store::OpenError::SchemaOld { .. }),
            "{refused}"
        );
        open(true).await.expect("it migrates");
        open(false).await.expect("nothing is missing any more");
    })
    .await;
}
