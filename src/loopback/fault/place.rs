//! Where a fault strikes: a server, and what the request asks of it.

use http::{Method, Request};

use crate::api::sandboxd::SERVICE;

/// A server of the cluster, or what acts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::loopback) enum Server {
    /// The API server; filters are verb and resource, as they stand in a Role.
    Api,
    /// The router; the filter is the first word of the path.
    Router,
    /// The runtime of every pod; the filter is the first word of the path, for sandboxd the one
    /// after `/v1` or the gRPC method: `files`, `health`, `execute`, `start`.
    Runtime,
    /// The controllers, which serve objects and not requests; the filter is `claim`.
    Controller,
}

impl Server {
    pub(super) const ALL: [Self; 4] = [Self::Api, Self::Router, Self::Runtime, Self::Controller];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Router => "router",
            Self::Runtime => "runtime",
            Self::Controller => "controller",
        }
    }

    /// How many filters it has.
    pub(super) fn filters(self) -> usize {
        match self {
            Self::Api => 2,
            Self::Router | Self::Runtime | Self::Controller => 1,
        }
    }
}

/// What a request asks for, in the words of the filters.
pub(super) fn words<B>(server: Server, request: &Request<B>) -> Vec<String> {
    let path = request.uri().path();
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    match server {
        Server::Api => api_words(request),
        Server::Runtime if matches!(first, "v1" | SERVICE) => {
            vec![parts.next().unwrap_or_default().to_lowercase()]
        }
        Server::Router | Server::Runtime | Server::Controller => vec![first.to_owned()],
    }
}

/// Verb and resource, the subresource where there is one.
fn api_words<B>(request: &Request<B>) -> Vec<String> {
    let query = request.uri().query().unwrap_or_default();
    let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (resource, name, sub) = match rest {
        [] => ("", "", ""),
        [resource] => (*resource, "", ""),
        [resource, name] => (*resource, *name, ""),
        [resource, name, sub, ..] => (*resource, *name, *sub),
    };
    let one = !name.is_empty();
    let watched = query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch=True"));
    let verb = match *request.method() {
        Method::GET if watched => "watch",
        Method::GET if one || resource.is_empty() => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    };
    let resource = if sub == "portforward" { sub } else { resource };
    vec![verb.to_owned(), resource.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_the_api_server_are_told_by_verb_and_resource() {
        let claims = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxclaims";
        for (method, target, wanted) in [
            ("POST", claims.to_owned(), "create sandboxclaims"),
            ("GET", claims.to_owned(), "list sandboxclaims"),
            (
                "GET",
                format!("{claims}?limit=5&watch=true"),
                "watch sandboxclaims",
            ),
            ("GET", format!("{claims}/a"), "get sandboxclaims"),
            ("DELETE", format!("{claims}/a"), "delete sandboxclaims"),
            (
                "DELETE",
                claims.to_owned(),
                "deletecollection sandboxclaims",
            ),
            ("PATCH", format!("{claims}/a/status"), "patch sandboxclaims"),
            (
                "GET",
                "/api/v1/namespaces/x/pods/p/portforward".to_owned(),
                "get portforward",
            ),
            ("GET", "/api/v1/namespaces".to_owned(), "list namespaces"),
            (
                "GET",
                "/api/v1/namespaces/default".to_owned(),
                "get namespaces",
            ),
            ("GET", "/apis".to_owned(), "get "),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(&target)
                .body(())
                .unwrap();
            assert_eq!(
                words(Server::Api, &request).join(" "),
                wanted,
                "{method} {target}"
            );
        }
    }

    #[test]
    fn requests_to_router_and_runtime_are_told_by_their_first_word() {
        let request = Request::builder()
            .uri("/download/a/b.txt")
            .body(())
            .unwrap();
        assert_eq!(words(Server::Runtime, &request), ["download"]);
        for (path, word) in [
            ("/v1/files/a/b", "files"),
            ("/v1/health", "health"),
            ("/process.v1.ProcessService/Execute", "execute"),
            ("/process.v1.ProcessService/ResizeTTY", "resizetty"),
            ("/", ""),
        ] {
            let request = Request::builder().uri(path).body(()).unwrap();
            assert_eq!(words(Server::Runtime, &request), [word], "{path}");
        }
    }
}
