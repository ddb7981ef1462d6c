//! Which browser pages may call: the headers of cross-origin resource sharing.

use grpc::HttpResponse;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN,
};
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeSet;

/// Origins that browsers may call from (`--cors`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Every page.
    All,
    /// Pages of these origins, as in `https://host:443`.
    Origins(BTreeSet<String>),
}

impl Cors {
    /// Reads the values of the flag: nothing or `*` stands for all.
    pub fn new(origins: &[String]) -> Self {
        let is_all = |origin: &String| origin.is_empty() || origin == "*";
        if origins.is_empty() || origins.iter().any(is_all) {
            Self::All
        } else {
            Self::Origins(origins.iter().cloned().collect())
        }
    }

    /// Adds the headers to the response to a request with the headers `request`: to each, or to that of a page that
    /// may call.
    pub(crate) fn allow(&self, request: &HeaderMap, response: &mut HttpResponse) {
        let allowed = match self {
            Self::All => HeaderValue::from_static("*"),
            Self::Origins(origins) => {
                let may_call =
                    |origin: &&HeaderValue| origin.to_str().is_ok_and(|text| origins.contains(text));
                let Some(origin) = request.get(ORIGIN).filter(may_call) else { return };
                origin.clone()
            }
        };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let methods = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = HeaderValue::from_static("accept, content-type, authorization");
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(flag: &[&str], origin: Option<&'static str>) -> Option<String> {
        let mut request = HeaderMap::new();
        request.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        let mut response = grpc::text_error(404, "404 page not found");
        let flag: Vec<String> = flag.iter().map(|text| (*text).to_owned()).collect();
        Cors::new(&flag).allow(&request, &mut response);
        let value = response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_page_may_call_unless_some_are_named() {
        assert_eq!(allowed(&["*"], None).as_deref(), Some("*"));
        assert_eq!(allowed(&[""], Some("http://a:80")).as_deref(), Some("*"));
        let named = ["http://a:80", "https://b:443"];
        assert_eq!(allowed(&named, Some("https://b:443")).as_deref(), Some("https://b:443"));
        assert_eq!(allowed(&named, Some("https://c:443")), None);
        assert_eq!(allowed(&named, None), None);
    }
}
