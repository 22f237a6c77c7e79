//! The web page: `/` and the files under `/web/`, which are part of this binary. It uses only `/v1`.
//!
//! Answers carry the file's digest as ETag, so that a reload costs a round trip, and a policy that lets the page load
//! and reach nothing but this process. No file is looked up outside the binary.

use super::Problem;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, ETAG, HOST, IF_NONE_MATCH, ORIGIN};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Path;
use actix_web::{Error, HttpRequest, HttpResponse, get};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/front/web"]
struct Files;

/// Nothing from elsewhere, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[get("/")]
pub async fn index(request: HttpRequest) -> Result<HttpResponse, Problem> {
    file(&request, "index.html")
}

#[get("/web/{path:.*}")]
pub async fn asset(request: HttpRequest, path: Path<String>) -> Result<HttpResponse, Problem> {
    file(&request, &path)
}

fn file(request: &HttpRequest, path: &str) -> Result<HttpResponse, Problem> {
    let absent = || Problem::not_found("no_such_path", format!("the page has no file {path}"));
    let file = Files::get(path).ok_or_else(absent)?;
    let digest = file.metadata.sha256_hash();
    let tag: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = request.headers().get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("Content-Security-Policy", POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .content_type(kind(path));
    Ok(if is_known { answer.finish() } else { answer.body(file.data.into_owned()) })
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// A browser says where a page that writes comes from: only our own may, or any page that somebody has open could
/// drain a host. Whoever is no browser says nothing.
pub async fn same_origin<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let said = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let foreign = said(ORIGIN).filter(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_none() || authority != said(HOST)
    });
    if let (false, Some(origin)) = (is_read, foreign) {
        let detail = format!("a page of {origin} may not write here");
        let problem = Problem::new(StatusCode::FORBIDDEN, "other_origin", detail);
        return Err(problem.next("use the page that this coordinator serves at /").into());
    }
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use std::collections::BTreeSet;

    fn text(path: &str) -> String {
        let file = Files::get(path).unwrap_or_else(|| panic!("no file {path}"));
        String::from_utf8(file.data.into_owned()).unwrap()
    }

    /// The page is whole: each file that another one names is there and each one there is named, nothing comes from
    /// elsewhere, nothing is inline, and all of it weighs little.
    #[test]
    fn whole_and_light() {
        let there: BTreeSet<String> = Files::iter().map(|path| path.to_string()).collect();
        let mut named = BTreeSet::from(["index.html".to_string()]);
        let mut weight = 0;
        for path in &there {
            let text = text(path);
            weight += text.len();
            let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            for piece in text.split('"').filter(|piece| piece.starts_with("./") || piece.starts_with("../")) {
                let at = piece.trim_start_matches("./");
                named.insert(at.strip_prefix("../").map_or_else(|| format!("{folder}{at}"), str::to_string));
            }
            named.extend(text.split('"').filter_map(|piece| piece.strip_prefix("web/")).map(str::to_string));
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path} names another host");
            assert!(!text.contains("innerHTML") && !text.contains("eval("), "{path} reads text as code");
        }
        assert_eq!(there, named);
        let page = text("index.html");
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("onclick"), "{page}");
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
        assert!(weight < 500_000, "{weight} bytes");
    }

    /// A file comes with its policy and digest; who has it already is not sent it again; what is not there is a problem.
    #[actix::test]
    async fn files() {
        let app = init_service(App::new().service(index).service(asset)).await;
        let first = call_service(&app, TestRequest::get().uri("/").to_request()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers().get("content-security-policy").unwrap(), POLICY);
        let tag = first.headers().get(ETAG).unwrap().clone();
        let again = TestRequest::get().uri("/").insert_header((IF_NONE_MATCH, tag)).to_request();
        assert_eq!(call_service(&app, again).await.status(), StatusCode::NOT_MODIFIED);
        let script = call_service(&app, TestRequest::get().uri("/web/app.js").to_request()).await;
        assert_eq!(script.headers().get("content-type").unwrap(), "text/javascript; charset=utf-8");
        for path in ["/web/", "/web/none.js", "/web/../mod.rs", "/web/%2e%2e/web.rs"] {
            let absent = call_service(&app, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(absent.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    /// A page of another origin may read what the browser lets it, and write nothing.
    #[actix::test]
    async fn other_origins() {
        let answer = || async { HttpResponse::Ok().finish() };
        let app = App::new().wrap(from_fn(same_origin)).default_service(actix_web::web::to(answer));
        let app = init_service(app).await;
        let cases = [
            (Method::POST, None, StatusCode::OK),
            (Method::POST, Some("http://127.0.0.1:7401"), StatusCode::OK),
            (Method::POST, Some("http://evil.example"), StatusCode::FORBIDDEN),
            (Method::DELETE, Some("http://127.0.0.1:7402"), StatusCode::FORBIDDEN),
            (Method::PUT, Some("null"), StatusCode::FORBIDDEN),
            (Method::GET, Some("http://evil.example"), StatusCode::OK),
        ];
        for (method, origin, expected) in cases {
            let mut request = TestRequest::default().method(method.clone()).uri("/v1/level");
            request = request.insert_header((HOST, "127.0.0.1:7401"));
            if let Some(origin) = origin {
                request = request.insert_header((ORIGIN, origin));
            }
            let status = match actix_web::test::try_call_service(&app, request.to_request()).await {
                Ok(answer) => answer.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            assert_eq!(status, expected, "{method} {origin:?}");
        }
    }
}
