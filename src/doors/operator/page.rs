//! The status page: one static file, served without a token because it holds no data.
//!
//! It reads the JSON API; when the port demands a token the page asks for it and keeps it for the tab only.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, Resource, web};

const PAGE: &str = include_str!("page.html");

/// Nothing from elsewhere, and nobody may frame it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The route `/`.
pub fn page() -> Resource {
    web::resource("/")
        .route(web::get().to(serve))
        .route(web::head().to(serve))
}

async fn serve() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(PAGE)
}
