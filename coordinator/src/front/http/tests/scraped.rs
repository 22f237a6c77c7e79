//! What a scraper is told of what comes and goes.

use super::*;

/// A margin is told of as long as there are tablets, and no longer: whoever watches for 0 must not be told an old one.
#[actix_rt::test]
async fn margins_go_with_their_tables() {
    let mut scene = Scene::new(3).await;
    let margin = "stele_fault_margin{domain=\"hosts\"";
    scene.table().await;
    let (_, page) = scene.get("/metrics").await;
    assert!(page.as_str().is_some_and(|page| page.contains(margin)), "{page}");
    assert_eq!(scene.ask(Method::DELETE, "/v1/tables/d/t", None).await.0, StatusCode::OK);
    let (_, page) = scene.get("/metrics").await;
    assert!(page.as_str().is_some_and(|page| !page.contains(margin)), "{page}");
}
