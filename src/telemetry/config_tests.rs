//! Which of flags and variables wins.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn resolved(settings: &Settings, pairs: &[(&str, &str)]) -> Config {
    resolve(settings, &environment(pairs))
        .unwrap()
        .expect("something is to be sent")
}

fn flag(endpoint: &str) -> Settings {
    Settings {
        endpoint: Some(endpoint.to_owned()),
        ..Settings::default()
    }
}

const GENERAL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4317");

#[test]
fn nothing_is_sent_without_a_word_and_the_standard_variable_is_a_word() {
    assert_eq!(
        resolve(&Settings::default(), &environment(&[])).unwrap(),
        None
    );
    let config = resolved(&Settings::default(), &[GENERAL]);
    assert_eq!(config.traces.unwrap().url, "http://general:4317");
    assert_eq!(config.metrics.unwrap().url, "http://general:4317");
    let off = environment(&[GENERAL, ("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(resolve(&flag("http://flag:1"), &off).unwrap(), None);
}

#[test]
fn a_flag_wins_over_the_signals_variable_and_that_over_the_general_one() {
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:4317");
    let config = resolved(&Settings::default(), &[GENERAL, own]);
    assert_eq!(config.traces.unwrap().url, "http://own:4317");
    assert_eq!(config.metrics.unwrap().url, "http://general:4317");
    let config = resolved(&flag("http://flag:1"), &[GENERAL, own]);
    assert_eq!(config.traces.unwrap().url, "http://flag:1");
}

#[test]
fn over_http_the_signals_path_is_added_to_the_general_address_only() {
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let own = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://own:4318/custom",
    );
    let config = resolved(
        &Settings::default(),
        &[
            http,
            own,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://g:4318/base/"),
        ],
    );
    assert_eq!(config.traces.unwrap().url, "http://own:4318/custom");
    assert_eq!(config.metrics.unwrap().url, "http://g:4318/base/v1/metrics");
}

#[test]
fn every_variable_of_a_target_is_understood() {
    let config = resolved(
        &Settings::default(),
        &[
            GENERAL,
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x-tenant=7"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/me.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/me.key"),
        ],
    );
    let traces = config.traces.unwrap();
    let headers = [("api-key", "a b"), ("x-tenant", "7")];
    assert_eq!(
        traces.headers,
        headers.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert_eq!(traces.timeout, Duration::from_millis(500));
    assert_eq!(config.metrics.unwrap().timeout, Duration::from_millis(2500));
    assert_eq!(traces.compression, Compression::Gzip);
    assert_eq!(traces.tls.authority, Some("/ca.pem".into()));
    assert_eq!(traces.tls.certificate, Some("/me.pem".into()));
    assert_eq!(traces.tls.key, Some("/me.key".into()));
}

#[test]
fn signals_can_be_switched_off_one_by_one() {
    let config = resolved(
        &Settings::default(),
        &[GENERAL, ("OTEL_METRICS_EXPORTER", "none")],
    );
    assert!(config.traces.is_some() && config.metrics.is_none());
    let only_metrics = Settings {
        signals: Some(vec![Signal::Metrics]),
        ..Settings::default()
    };
    let config = resolved(&only_metrics, &[GENERAL]);
    assert!(config.traces.is_none() && config.metrics.is_some());
}

#[test]
fn samplers_and_propagators_of_the_standard_are_understood() {
    let sampling = |pairs: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = [GENERAL].iter().chain(pairs).copied().collect();
        resolved(&Settings::default(), &all).sampling
    };
    assert_eq!(sampling(&[]), Sampling::default());
    let ratio = sampling(&[
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ]);
    assert_eq!(ratio.ratio, Ratio::of(1, 4));
    assert!(ratio.keep.failed && ratio.keep.first == 0);
    let off = sampling(&[("OTEL_TRACES_SAMPLER", "always_off")]);
    assert_eq!((off.ratio, off.keep), (Ratio::default(), Keep::NOTHING));
    let on = sampling(&[("OTEL_TRACES_SAMPLER", "always_on")]);
    assert_eq!(on.ratio, Ratio::of(1, 1));
    let untold = sampling(&[("OTEL_PROPAGATORS", "b3")]);
    assert_eq!(untold.propagate, Propagate::None);
    let told = sampling(&[("OTEL_PROPAGATORS", "baggage,tracecontext")]);
    assert_eq!(told.propagate, Propagate::Sampled);
}

#[test]
fn the_resource_says_who_it_is() {
    let of = |pairs: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = [GENERAL].iter().chain(pairs).copied().collect();
        resolved(&Settings::default(), &all).resource
    };
    let name = |resource: &[(String, String)]| {
        let found = resource.iter().filter(|(key, _)| key == "service.name");
        found.map(|(_, name)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(name(&of(&[])), ["sandbench"]);
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=blue%2Fred");
    let resource = of(&[attributes]);
    assert_eq!(name(&resource), ["a"]);
    assert!(resource.contains(&("team".to_owned(), "blue/red".to_owned())));
    assert_eq!(name(&of(&[attributes, ("OTEL_SERVICE_NAME", "b")])), ["b"]);
}

#[test]
fn what_is_not_understood_is_refused_with_its_name_and_what_to_write() {
    for (pairs, words) in [
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")][..],
            "`http://collector:4317`",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://")],
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            &[GENERAL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            "`http/protobuf`",
        ),
        (
            &[GENERAL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")],
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        ),
        (&[GENERAL, ("OTEL_TRACES_SAMPLER", "xray")], "traceidratio"),
        (
            &[
                GENERAL,
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "7"),
            ],
            "from 0 to 1",
        ),
        (
            &[GENERAL, ("OTEL_TRACES_EXPORTER", "zipkin")],
            "`otlp` or `none`",
        ),
        (
            &[(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "https://opentelemetry-collector.gke-managed-otel.svc.cluster.local:4317",
            )],
            "plain text only",
        ),
    ] {
        let error = resolve(&Settings::default(), &environment(pairs)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
    }
    let secret = [GENERAL, ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")];
    let error = resolve(&Settings::default(), &environment(&secret)).unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn a_trace_is_found_in_google_cloud_or_where_the_template_says() {
    let with = |url: &str| {
        let settings = Settings {
            trace_url: Some(url.to_owned()),
            ..flag("http://a:1")
        };
        resolved(&settings, &[]).trace_url.unwrap()
    };
    assert_eq!(
        with("http://jaeger:16686/"),
        "http://jaeger:16686/trace/{trace_id}"
    );
    assert_eq!(with("http://x/?q={trace_id}"), "http://x/?q={trace_id}");
}
