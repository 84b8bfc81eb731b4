//! Spans of the router and of the controllers, as upstream's make them: a server span around each routed request, a
//! span for each look at a claim or Sandbox, below the span that the request or the object names.
//!
//! Only what belongs to somebody's trace is recorded: upstream also begins traces of its own, for Sandboxes of a pool
//! for example. Names and attributes are upstream's (0.5.6).

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;

use super::http::Body;
use super::store::Object;
use crate::api::header::TRACEPARENT;
use crate::api::{annotation, header, label};
use crate::trace::{Kind, Role, Sampled, ServiceTracer, SpanContext, Trace, start};

/// The services, as upstream's name themselves.
const ROUTER: &str = "sandbox-router";
const CONTROLLER: &str = "agent-sandbox-controller";

/// Who takes the spans of the loopback cluster. Default: nobody, and none are made.
#[derive(Clone, Default)]
pub struct SpanSink(Option<Arc<dyn ServiceTracer>>);

impl SpanSink {
    /// Spans go to this tracer.
    pub fn new(tracer: Arc<dyn ServiceTracer>) -> Self {
        Self(Some(tracer))
    }
}

impl fmt::Debug for SpanSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "SpanSink" } else { "none" })
    }
}

/// The same tracer.
impl PartialEq for SpanSink {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl SpanSink {
    /// Makes a server span of each request that names a trace; what the handler sends on is below it.
    pub(super) fn around<H, F>(
        &self,
        handler: H,
    ) -> impl Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Clone + Send + Sync + 'static
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let sink = self.0.clone();
        move |mut request| {
            let parent = sink.as_ref().and_then(|_| parent_of(request.headers()));
            let Some((sink, parent)) = sink.clone().zip(parent) else {
                return Box::pin(handler(request));
            };
            let name = format!("HTTP {}", request.method());
            let trace = Trace::continued(name, Kind::Server, parent);
            trace.set("http.method", request.method().to_string());
            trace.set("http.target", request.uri().path().to_owned());
            for (key, header) in [
                ("sandbox.id", header::SANDBOX_ID),
                ("sandbox.namespace", header::SANDBOX_NAMESPACE),
            ] {
                let value = request.headers().get(header);
                if let Some(value) = value.and_then(|value| value.to_str().ok()) {
                    trace.set(key, value.to_owned());
                }
            }
            if let Ok(own) = HeaderValue::from_str(&trace.context().to_string()) {
                let name = HeaderName::from_static(TRACEPARENT);
                request.headers_mut().insert(name, own);
            }
            let answering = handler(request);
            Box::pin(async move {
                let answer = answering.await;
                trace.set("http.status_code", answer.status().as_u16());
                sink.finish(ROUTER, trace.finish());
                answer
            })
        }
    }

    /// Makes a span of a look at an object that names a trace.
    pub(super) fn reconcile<T>(
        &self,
        name: &'static str,
        object: &Object,
        look: impl FnOnce() -> T,
    ) -> T {
        let parent = || context_of(object.annotation(annotation::TRACE_CONTEXT)?);
        let traced = self.0.as_ref().and_then(|sink| Some((sink, parent()?)));
        let Some((sink, parent)) = traced else {
            return look();
        };
        let trace = Trace::continued(name, Kind::Internal, parent);
        if name == "ReconcileSandbox" {
            trace.set("sandbox.name", object.name().to_owned());
            trace.set("sandbox.namespace", object.namespace().to_owned());
        }
        if let Some(by) = object.label(label::CREATED_BY) {
            trace.set(label::CREATED_BY, by.to_owned());
        }
        let done = trace.sync_scope(look);
        sink.finish(CONTROLLER, trace.finish());
        done
    }
}

/// Makes a span of a part of a look.
pub(super) fn part<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let span = start(name, Role::Other, Kind::Internal);
    let done = work();
    span.end(None);
    done
}

/// The parent that a request names, if it asks for being recorded.
fn parent_of(headers: &HeaderMap) -> Option<SpanContext> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    sampled(text.trim())
}

/// The parent that an annotation names: a JSON object of W3C headers.
fn context_of(annotation: &str) -> Option<SpanContext> {
    let carrier: serde_json::Value = serde_json::from_str(annotation).ok()?;
    sampled(carrier[TRACEPARENT].as_str()?)
}

fn sampled(text: &str) -> Option<SpanContext> {
    let context: SpanContext = text.parse().ok()?;
    (context.sampled == Sampled::Yes).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_annotation_is_read_in_the_form_of_either_sdk() {
        for annotation in [
            format!("{{\"traceparent\":\"{PARENT}\"}}"),
            format!("{{\"traceparent\": \"{PARENT}\", \"tracestate\": \"a=b\"}}"),
        ] {
            assert_eq!(context_of(&annotation).unwrap().to_string(), PARENT);
        }
        for annotation in ["", "{}", PARENT, "{\"traceparent\":7}"] {
            assert_eq!(context_of(annotation), None, "{annotation}");
        }
    }

    #[test]
    fn who_does_not_ask_for_being_recorded_is_not() {
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(sampled(&unsampled), None);
    }
}
