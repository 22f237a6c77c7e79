//! Who may come in, over the whole face: tokens, passwords, sessions, and the open house.

use super::*;
use crate::front::users::{Role, User};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// With users, nothing under `/v1` is open, however its path is written, and a role is asked for what is really meant.
#[actix_rt::test]
async fn no_way_around_the_guard() {
    let scene = Scene::new(0).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.toml");
    let token = stele_common::Digest::of(b"").to_string();
    let user = User::new("op", Role::Operator).with_token(&token);
    let digest = user.token.clone().unwrap();
    std::fs::write(&file, format!("[[user]]\nname = 'op'\nrole = 'operator'\ntoken = '{digest}'\n")).unwrap();
    let users = Users::open(Some(file)).map(Arc::new).unwrap();
    let metrics = crate::telemetry::metrics_handle();
    let front = Data::new(Front::new(scene.house.ask.clone(), metrics, users));
    let app = init_service(app(front)).await;
    let refused = [
        (Method::GET, "/v1/tables", false, StatusCode::UNAUTHORIZED),
        (Method::GET, "/%761/tables", false, StatusCode::UNAUTHORIZED),
        (Method::GET, "/v%31/tables", false, StatusCode::UNAUTHORIZED),
        (Method::GET, "/v1/tables", true, StatusCode::OK),
        (Method::PUT, "/v1/level", true, StatusCode::FORBIDDEN),
        (Method::PUT, "/v1/%6Cevel", true, StatusCode::FORBIDDEN),
        (Method::PUT, "/%761/lev%65l", true, StatusCode::FORBIDDEN),
        (Method::GET, "/livez", false, StatusCode::OK),
        (Method::GET, "/", false, StatusCode::OK),
        (Method::GET, "/openapi.json", false, StatusCode::OK),
        (Method::GET, "/%6Dnothing", false, StatusCode::UNAUTHORIZED),
        (Method::GET, "/web/../v1/tables", false, StatusCode::NOT_FOUND),
    ];
    for (method, path, has_token, expected) in refused {
        let mut request = TestRequest::with_uri(path).method(method.clone());
        if has_token {
            request = request.insert_header(("Authorization", format!("Bearer {token}")));
        }
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), expected, "{method} {path} {has_token}");
    }
}

/// A name and a password open a session, whose token is worth as much as they are until it is closed; a wrong password
/// says so in the way in which it was tried.
#[actix_rt::test]
async fn sessions_of_the_page() {
    let scene = Scene::new(0).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.toml");
    let user = User::new("vic", Role::Viewer).with_password("look");
    let (native, sha2) = (user.native.unwrap(), user.sha2.unwrap());
    std::fs::write(&file, format!("[[user]]\nname = 'vic'\nrole = 'viewer'\nnative = '{native}'\nsha2 = '{sha2}'\n"))
        .unwrap();
    let users = Users::open(Some(file)).map(Arc::new).unwrap();
    let front = Data::new(Front::new(scene.house.ask.clone(), crate::telemetry::metrics_handle(), users));
    let app = init_service(app(front)).await;
    let ask = async |method: Method, path: &str, authorization: &str, body: Value| {
        let request = TestRequest::with_uri(path).method(method.clone()).set_json(body);
        let request = request.insert_header(("Authorization", authorization)).to_request();
        let response = call_service(&app, request).await;
        let (status, way) = (response.status(), response.headers().get("WWW-Authenticate").cloned());
        let answer: Value = actix_web::test::read_body_json(response).await;
        openapi::tests::check(&method, path, status, &answer);
        (status, answer, way.map(|way| way.to_str().unwrap().split(' ').next().unwrap().to_string()))
    };
    let none = "Bearer none";
    let nobody = ask(Method::GET, "/v1/session", none, json!(null)).await;
    assert_eq!((nobody.0, nobody.1), (StatusCode::OK, json!({"name": null, "role": null, "users": true})));
    for (body, code) in [
        (json!({"name": "vic", "password": "wrong"}), "wrong_password"),
        (json!({"name": "nobody", "password": "look"}), "wrong_password"),
        (json!({"token": "look"}), "unknown_token"),
        (json!({"name": "vic"}), "bad_request"),
    ] {
        let (_, problem, way) = ask(Method::POST, "/v1/session", none, body).await;
        assert_eq!((problem["code"].as_str(), way), (Some(code), None), "no window of the browser's own");
    }
    for (authorization, way) in
        [(none.to_string(), "Bearer"), (format!("Basic {}", STANDARD.encode("vic:no")), "Basic")]
    {
        let (status, _, told) = ask(Method::GET, "/v1/tables", &authorization, json!(null)).await;
        assert_eq!((status, told.as_deref()), (StatusCode::UNAUTHORIZED, Some(way)));
    }
    let (_, opened, _) = ask(Method::POST, "/v1/session", none, json!({"name": "vic", "password": "look"})).await;
    assert_eq!((&opened["name"], &opened["role"]), (&json!("vic"), &json!("viewer")));
    let token = opened["token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let (_, known, _) = ask(Method::GET, "/v1/session", &bearer, json!(null)).await;
    assert_eq!(known, json!({"name": "vic", "role": "viewer", "users": true}));
    let again = ask(Method::POST, "/v1/session", &bearer, json!({"token": token})).await;
    assert_eq!(again.0, StatusCode::UNAUTHORIZED, "a session opens no other");
    for (method, path, expected) in [
        (Method::GET, "/v1/tables", StatusCode::OK),
        (Method::POST, "/v1/nodes/drain", StatusCode::FORBIDDEN),
        (Method::DELETE, "/v1/session", StatusCode::OK),
        (Method::GET, "/v1/tables", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(ask(method.clone(), path, &bearer, json!({})).await.0, expected, "{method} {path}");
    }
}

/// Whoever is nobody yet is read little of, and neither it nor a login is remembered under a key.
#[actix_rt::test]
async fn nobody_is_remembered() {
    let scene = Scene::new(0).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.toml");
    let digest = User::new("op", Role::Operator).with_token("secret").token.unwrap();
    std::fs::write(&file, format!("[[user]]\nname = 'op'\nrole = 'operator'\ntoken = '{digest}'\n")).unwrap();
    let users = Users::open(Some(file)).map(Arc::new).unwrap();
    let front = Data::new(Front::new(scene.house.ask.clone(), crate::telemetry::metrics_handle(), users));
    let app = init_service(app(front)).await;
    let ask = async |path: &str, token: Option<&str>, body: String| {
        let mut request = TestRequest::post().uri(path).insert_header(("Idempotency-Key", "k")).set_payload(body);
        if let Some(token) = token {
            request = request.insert_header(("Authorization", format!("Bearer {token}")));
        }
        let response = call_service(&app, request.to_request()).await;
        let is_replayed = response.headers().contains_key("Idempotency-Replayed");
        let status = response.status();
        let answer: Value = actix_web::test::read_body_json(response).await;
        (status, is_replayed, answer)
    };
    let login = json!({"token": "secret"}).to_string();
    let (first, second) =
        (ask("/v1/session", None, login.clone()).await, ask("/v1/session", None, login.clone()).await);
    assert_eq!((first.0, second.0, second.1), (StatusCode::OK, StatusCode::OK, false));
    assert_ne!(first.2["token"], second.2["token"], "a login is a new one each time");
    let long = " ".repeat(body::NOBODYS_MAX) + &login;
    let (status, _, problem) = ask("/v1/session", None, long).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
    for is_replayed in [false, false] {
        assert_eq!(ask("/livez", None, String::new()).await.1, is_replayed, "nobody's key");
    }
    for is_replayed in [false, true] {
        assert_eq!(ask("/v1/leases", Some("secret"), "{}".into()).await.1, is_replayed, "a user's key");
    }
}

/// Without users root needs no password, from this machine only.
#[actix_rt::test]
async fn an_open_house_is_open_to_this_machine() {
    let scene = Scene::new(0).await;
    let app = init_service(app(scene.front())).await;
    for (peer, host, expected) in [
        ("127.0.0.1:9", "127.0.0.1:7401", StatusCode::OK),
        ("127.0.0.1:9", "evil.example:7401", StatusCode::UNAUTHORIZED),
        ("192.0.2.7:9", "192.0.2.1:7401", StatusCode::UNAUTHORIZED),
    ] {
        // Where nobody can log in, the session says so, too.
        for path in ["/v1/tables", "/v1/session"] {
            let request = TestRequest::with_uri(path).peer_addr(peer.parse().unwrap());
            let response = call_service(&app, request.insert_header(("Host", host)).to_request()).await;
            assert_eq!(response.status(), expected, "{path} {peer} {host}");
            let answer: Value = actix_web::test::read_body_json(response).await;
            let code = (expected != StatusCode::OK).then_some("no_users");
            assert_eq!(answer["code"].as_str(), code, "{path} {peer} {host}");
        }
    }
}
