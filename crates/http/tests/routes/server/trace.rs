//! `traceparent`: a request is in the trace that its caller says, and in none without one where nobody keeps traces.

use crate::shop::Shop;

const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn the_answer_names_the_trace_that_the_caller_is_in() {
    let shop = Shop::open().await;
    let answer = shop.app.get("/api/Product").header("traceparent", PLACE).send().await.expect_status(200);
    assert_eq!(answer.header("traceresponse"), PLACE);
    let answer = shop.app.get("/nowhere").header("traceparent", PLACE).send().await;
    let problem = answer.expect_problem(404, "route.unknown");
    assert_eq!(problem.body["trace_id"], PLACE[3..35]);
    assert_eq!(problem.header("traceresponse"), PLACE);
}

#[tokio::test]
async fn what_is_no_trace_is_none() {
    let shop = Shop::open().await;
    let check = async |given: &[&str]| {
        let request = shop.app.get("/nowhere");
        let request = given.iter().fold(request, |request, given| request.header("traceparent", given));
        let problem = request.send().await.expect_problem(404, "route.unknown");
        assert_eq!((problem.header("traceresponse"), problem.body.get("trace_id")), ("", None), "{given:?}");
    };
    check(&[]).await;
    check(&["nonsense"]).await;
    check(&[&PLACE.to_uppercase()]).await;
    // Of two nobody knows which one is meant.
    check(&[PLACE, PLACE]).await;
}
