//! What must not compile: a document without a held grant, and every way around it.

#[test]
fn a_document_without_a_held_grant_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile_fail/with_a_grant.rs");
    cases.compile_fail("tests/compile_fail/draft_without_a_grant.rs");
    cases.compile_fail("tests/compile_fail/grant_for_something_else.rs");
    cases.compile_fail("tests/compile_fail/grant_made_by_hand.rs");
    cases.compile_fail("tests/compile_fail/grant_outlives_its_transaction.rs");
    cases.compile_fail("tests/compile_fail/own_proof.rs");
}
