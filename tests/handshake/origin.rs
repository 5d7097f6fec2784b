//! Which pages may connect: rows O, and what an allow list must not be fooled by.

use proptest::prelude::*;
use sockeye::handshake::{OriginError, OriginPolicy, Scheme};

use super::server::{feed, judge, server};
use super::{BASE, HOST, ORIGIN, drain, swap};

/// The `Host` where it does not matter.
const ANY_HOST: &str = "server.example.com";

fn exact(origin: &str) -> OriginPolicy {
    OriginPolicy::exact([origin]).unwrap()
}

fn pattern(pattern: &str) -> OriginPolicy {
    OriginPolicy::patterns([pattern]).unwrap()
}

#[track_caller]
fn assert_admits(policy: &OriginPolicy, origins: &[&str]) {
    for origin in origins {
        assert!(
            policy.admits(Some(origin), ANY_HOST),
            "{policy:?}: {origin:?}"
        );
    }
}

#[track_caller]
fn assert_refuses(policy: &OriginPolicy, origins: &[&str]) {
    for origin in origins {
        assert!(
            !policy.admits(Some(origin), ANY_HOST),
            "{policy:?}: {origin:?}"
        );
    }
}

/// What is no origin, or not one of a page at `good.example`, however its parts look.
const NEVER: &[&str] = &[
    "",
    "null",
    "NULL",
    "good.example",
    "//good.example",
    "https:good.example",
    "https:/good.example",
    "https:///good.example",
    "https:\\\\good.example",
    "https://",
    "://good.example",
    " https://good.example",
    "https://good.example ",
    "https://good.example/",
    "https://good.example/path",
    "https://good.example?",
    "https://good.example?q",
    "https://good.example#",
    "https://good.example\\",
    "https://good.example\\@evil.example",
    "https://good.example/@evil.example",
    "https://good.example@evil.example",
    "https://good.example:443@evil.example",
    "https://good.example:@evil.example",
    "https://user@good.example",
    "https://@good.example",
    "https://good.example.",
    "https://.good.example",
    "https://good..example",
    "https://good.example:",
    "https://good.example:0",
    "https://good.example:0443",
    "https://good.example:+443",
    "https://good.example:444",
    "https://good.example:65979",
    "https://good.example:443:443",
    "https://good.example:https",
    "https://good.example,https://good.example",
    "https://good.example https://good.example",
    "https://good.example\0",
    "https://good.example\r\n",
    "https://good.example%2eevil",
    "https://good%2eexample",
    "https://%67ood.example",
    "https://good.example.evil",
    "https://good.example-evil",
    "https://evilgood.example",
    "https://evil.good.example.evil",
    "https://evil/good.example",
    "https://evil?good.example",
    "https://evil#good.example",
    "https://evil?.good.example",
    "https://goodxexample",
    "https://good",
    "https://example",
    "https://goöd.example",
    "https://ｇood.example",
    "https://good.exampl\u{212a}",
    "https://[good.example]",
    "https://[::1].good.example",
    "http://good.example",
    "http://good.example:443",
    "httpss://good.example",
    "xhttps://good.example",
    "wss://good.example",
    "1https://good.example",
    "*",
    "https://*",
    "https://*.example",
    "*://good.example",
    "https://good.example:*",
];

#[test]
fn o_03_exact() {
    let policy = exact("https://good.example");
    assert_refuses(&policy, &["https://www.good.example"]);
    let same = [
        "https://good.example",
        "https://good.example:443",
        "HTTPS://GOOD.example",
        "https://Good.Example:443",
    ];
    for written in same {
        assert_admits(&exact(written), &same);
    }
    assert_admits(&exact("http://h"), &["http://h", "http://h:80"]);
    assert_refuses(&exact("http://h"), &["http://h:443", "https://h:80"]);
    assert_refuses(&exact("https://h:8443"), &["https://h", "https://h:443"]);
    let list = OriginPolicy::exact(["https://a", "http://b:1"]).unwrap();
    assert_admits(&list, &["https://a", "http://b:1"]);
    assert_refuses(
        &list,
        &["https://b:1", "http://a", "https://a:1", "http://b"],
    );
    assert_refuses(&OriginPolicy::exact::<&str>([]).unwrap(), &same);
}

#[test]
fn o_06_never_exact() {
    for written in ["https://good.example", "HTTPS://Good.Example:443"] {
        assert_refuses(&exact(written), NEVER);
    }
}

#[test]
fn addresses() {
    let policy = exact("http://[::1]:3000");
    assert_admits(&policy, &["http://[::1]:3000", "http://[0:0::0001]:3000"]);
    assert_refuses(
        &policy,
        &[
            "http://[::1]",
            "http://[::1]3000",
            "http://[::1]:",
            "http://[::1]:3000/",
            "http://[::1]@evil:3000",
            "http://[::1%251]:3000",
            "http://[::1%1]:3000",
            "http://[::2]:3000",
            "http://[::1:3000",
            "http://::1:3000",
            "http://[]:3000",
            "http://[v1.a]:3000",
        ],
    );
    let mapped = exact("http://[::ffff:127.0.0.1]");
    assert_admits(&mapped, &["http://[::ffff:7f00:1]"]);
    assert_refuses(&mapped, &["http://127.0.0.1"]);
    let local = exact("http://127.0.0.1:3000");
    assert_admits(&local, &["http://127.0.0.1:3000"]);
    assert_refuses(&local, &["http://127.1:3000", "http://127.0.0.1.evil:3000"]);
}

#[test]
fn other_schemes() {
    let policy = exact("chrome-extension://abcdefgh");
    assert_admits(&policy, &["chrome-extension://abcdefgh"]);
    assert_refuses(
        &policy,
        &[
            "https://abcdefgh",
            "chrome-extension://abcdefgh:80",
            "chrome-extension://abcdefgh:443",
            "moz-extension://abcdefgh",
        ],
    );
}

#[test]
fn patterns() {
    let policy = pattern("https://*.good.example");
    assert_admits(
        &policy,
        &[
            "https://a.good.example",
            "https://a.b.good.example",
            "https://xn--gd-fka.good.example:443",
            "HTTPS://A.GOOD.EXAMPLE",
            "https://good.example.good.example",
        ],
    );
    assert_refuses(&policy, NEVER);
    assert_refuses(
        &policy,
        &[
            "https://good.example",
            "https://.good.example",
            "https://a..good.example",
            "https://agood.example",
            "https://a.good.example.evil",
            "https://a.good.example.",
            "https://evil/a.good.example",
            "https://evil:443/.good.example",
            "https://evil@a.good.example",
            "https://a.good.example:444",
            "http://a.good.example",
            "http://a.good.example:443",
            "https://*.good.example",
        ],
    );
    let port = pattern("http://*.localhost:8080");
    assert_admits(&port, &["http://app.localhost:8080"]);
    assert_refuses(&port, &["http://app.localhost", "http://app.localhost:80"]);
    // Without a wildcard it is exact.
    assert_admits(&pattern("https://good.example"), &["https://good.example"]);
    assert_refuses(
        &pattern("https://good.example"),
        &["https://a.good.example"],
    );
}

#[test]
fn mistakes_in_lists() {
    for (origin, error) in [
        ("", OriginError::Scheme),
        ("null", OriginError::Scheme),
        ("example.com", OriginError::Scheme),
        ("wss://example.com", OriginError::Scheme),
        ("WS://example.com", OriginError::Scheme),
        ("ht tp://example.com", OriginError::Scheme),
        ("https://", OriginError::Host),
        ("https://a b", OriginError::Host),
        ("https://u@example.com", OriginError::Host),
        ("https://müller.example", OriginError::Host),
        ("https://example.com.", OriginError::Host),
        ("https://[::1", OriginError::Host),
        ("https://[1.2.3.4]", OriginError::Host),
        ("https://example.com:0", OriginError::Port),
        ("https://example.com:65536", OriginError::Port),
        ("https://u:p@example.com", OriginError::Port),
        ("https://[::1]x", OriginError::Port),
        ("https://example.com/", OriginError::Path),
        ("https://example.com?x", OriginError::Path),
        ("file:///", OriginError::Path),
        ("*", OriginError::Scheme),
        ("*://example.com", OriginError::Wildcard),
        ("https://*", OriginError::Wildcard),
        ("https://*.*.example.com", OriginError::Wildcard),
        ("https://a.*.example.com", OriginError::Wildcard),
        ("https://a*.example.com", OriginError::Wildcard),
        ("https://*a.example.com", OriginError::Wildcard),
        ("https://example.com:*", OriginError::Wildcard),
        ("https://*.example.com:*", OriginError::Wildcard),
    ] {
        let lists = [["https://fine.example", origin], [origin, "https://a"]];
        for list in lists {
            assert_eq!(OriginPolicy::exact(list).unwrap_err(), error, "{origin:?}");
            let patterns = OriginPolicy::patterns(list).unwrap_err();
            assert_eq!(patterns, error, "{origin:?}");
        }
    }
    // Only in patterns.
    for (pattern, error) in [
        ("https://*.", OriginError::Host),
        ("https://*..example.com", OriginError::Host),
        ("https://*.example.com/", OriginError::Path),
        ("https://*.0.0.1", OriginError::Wildcard),
        ("https://*.0x1", OriginError::Wildcard),
        ("https://*.[::1]", OriginError::Wildcard),
    ] {
        assert_eq!(OriginPolicy::patterns([pattern]).unwrap_err(), error);
    }
    assert_eq!(
        OriginPolicy::exact(["https://*.example.com"]).unwrap_err(),
        OriginError::Wildcard
    );
}

#[test]
fn same_origin() {
    let http = OriginPolicy::same_origin(Scheme::Http);
    let https = OriginPolicy::same_origin(Scheme::Https);
    for (host, http_origin, https_origin) in [
        ("h.example", "http://h.example", "https://h.example"),
        ("H.Example", "http://h.example", "https://h.example"),
        ("h.example", "HTTP://H.example:80", "https://h.EXAMPLE:443"),
        (
            "h.example:8080",
            "http://h.example:8080",
            "https://h.example:8080",
        ),
        ("[::1]:81", "http://[::1]:81", "https://[0::1]:81"),
        ("127.0.0.1", "http://127.0.0.1", "https://127.0.0.1"),
    ] {
        for (policy, own, other) in [
            (&http, http_origin, https_origin),
            (&https, https_origin, http_origin),
        ] {
            assert!(policy.admits(Some(own), host), "{own} at {host}");
            assert!(!policy.admits(Some(other), host), "{other} at {host}");
        }
    }
    // Whose port is the default depends on the scheme.
    assert!(http.admits(Some("http://h"), "h:80"));
    assert!(https.admits(Some("https://h"), "h:443"));
    assert!(!http.admits(Some("http://h"), "h:443"));
    assert!(!https.admits(Some("https://h"), "h:80"));
    assert!(!https.admits(Some("https://h:80"), "h"));
    for origin in NEVER {
        assert!(!https.admits(Some(origin), "good.example"), "{origin:?}");
    }
    // A host that no browser sends has no pages.
    for host in [
        "", ":443", "h:", "h.", "u@h", "h/", "h,h", "*", "%68", "h h",
    ] {
        for origin in ["https://h", &format!("https://{host}"), "null", ""] {
            assert!(!https.admits(Some(origin), host), "{origin:?} at {host:?}");
        }
    }
}

#[test]
fn o_01_missing() {
    let policies = [
        OriginPolicy::same_origin(Scheme::Https),
        OriginPolicy::exact::<&str>([]).unwrap(),
        pattern("https://*.example.com"),
        OriginPolicy::any(),
        OriginPolicy::custom(|_, _| panic!("there is nothing to ask about")),
    ];
    for policy in policies {
        assert!(policy.admits(None, ANY_HOST));
        let strict = policy.clone().with_required_origin();
        assert!(!strict.admits(None, ANY_HOST));
        assert!(!strict.clone().or(policy.clone()).admits(None, ANY_HOST));
        assert!(!policy.or(strict).admits(None, ANY_HOST));
    }
    assert_admits(&OriginPolicy::any().with_required_origin(), &["https://a"]);
}

#[test]
fn o_02_any_custom_and_both() {
    assert_admits(&OriginPolicy::any(), NEVER);
    let custom = OriginPolicy::custom(|origin, host| origin == "null" && host == ANY_HOST);
    assert_admits(&custom, &["null"]);
    assert_refuses(&custom, &["https://good.example"]);
    assert!(!custom.admits(Some("null"), "h"));
    let both = custom.or(exact("https://good.example"));
    assert_admits(&both, &["null", "https://good.example"]);
    assert_refuses(&both, &["https://evil.example"]);
}

#[test]
fn o_04_and_o_05_requests() {
    let policy = OriginPolicy::same_origin(Scheme::Http).or(exact("https://good.example"));
    for (lines, expected) in [
        ("", true),
        ("Origin: http://server.example.com\r\n", true),
        ("oRIGIN:https://GOOD.example \r\n", true),
        ("Origin: null\r\n", false),
        ("Origin: http://example.com\r\n", false),
        ("Origin: https://good.example.evil\r\n", false),
        ("Origin: https://evilgood.example\r\n", false),
        ("Origin: https://good.example:444\r\n", false),
        ("Origin: http://good.example\r\n", false),
    ] {
        let bytes = swap(BASE, ORIGIN, lines);
        let mut handshake = server();
        let (outcome, _) = feed(&mut handshake, &bytes, [usize::MAX]);
        let request = outcome.unwrap().unwrap();
        assert_eq!(policy.check(&request).is_ok(), expected, "{lines:?}");
        if let Err(refusal) = policy.check(&request) {
            handshake.reject(refusal).unwrap();
            let answer = drain(handshake.poll_transmit());
            assert_eq!(super::parses(&answer), 403);
        }
    }
    // The handshake itself refuses these.
    for lines in [
        "Origin: https://good.example\r\nOrigin: https://good.example\r\n",
        "Origin: https://good.example\r\norigin: null\r\n",
        "Origin: https://good.example https://evil.example\r\n",
        "Origin: https://müller.example\r\n",
        "Origin:\r\n",
    ] {
        let error = judge(swap(BASE, ORIGIN, lines)).unwrap_err();
        assert_eq!(error.http_status(), Some(400), "{lines:?}");
    }
    let other = swap(BASE, HOST, "Host: server.example.com:8080\r\n");
    let other = String::from_utf8(other).unwrap();
    let origin = "Origin: http://server.example.com\r\n";
    let request = judge(swap(&other, ORIGIN, origin)).unwrap();
    assert!(policy.check(&request).is_err());
}

#[test]
fn debug_shows_the_rules() {
    let policy = exact("https://good.example").or(OriginPolicy::custom(|_, _| true));
    let shown = format!("{policy:?}");
    assert!(
        shown.contains("good.example") && shown.contains("Custom"),
        "{shown}"
    );
}

/// Text that is an origin now and then, and nearly one most of the time.
fn nearly_origins() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "https://",
        "https://",
        "HTTPS://",
        "http://",
        "://",
        "good.example",
        "good.example",
        "good.example",
        "Good.Example",
        ".good.example",
        "www.",
        "a",
        "a.b.",
        ".",
        ":443",
        ":443",
        ":80",
        ":",
        "0",
        "443",
        "@",
        "/",
        "\\",
        "?",
        "#",
        "%2e",
        "*",
        "*.",
        "[::1]",
        "evil",
        ".evil",
        "null",
        " ",
        "é",
        "\0",
    ]);
    prop::collection::vec(parts, 0..5).prop_map(|parts| parts.concat())
}

/// The one spelling of an `https` origin with the default port left out, if it may be one: by
/// strings alone, in no way as the policy does it.
fn plain(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    origin.strip_suffix(":443").unwrap_or(&origin).to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn exact_is_equality(origin in nearly_origins()) {
        let expected = plain(&origin) == "https://good.example";
        let policy = exact("https://good.example");
        prop_assert_eq!(policy.admits(Some(&origin), ANY_HOST), expected);
    }

    #[test]
    fn patterns_are_labels_in_front(origin in nearly_origins()) {
        let plain = plain(&origin);
        let labels = plain
            .strip_prefix("https://")
            .and_then(|host| host.strip_suffix(".good.example"));
        let expected = labels.is_some_and(|labels| {
            labels.split('.').all(|label| {
                !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric())
            })
        });
        let policy = pattern("https://*.good.example");
        prop_assert_eq!(policy.admits(Some(&origin), ANY_HOST), expected);
    }

    #[test]
    fn same_origin_is_equality_with_the_host(origin in nearly_origins(), host in nearly_origins()) {
        let host = host.replacen("https://", "", 1);
        let own = format!("https://{host}");
        let policy = OriginPolicy::same_origin(Scheme::Https);
        let is_origin = OriginPolicy::exact([&own]).is_ok();
        prop_assert_eq!(policy.admits(Some(&own), &host), is_origin);
        if policy.admits(Some(&origin), &host) {
            prop_assert_eq!(plain(&origin), plain(&own));
        }
    }

    #[test]
    fn what_a_list_takes_it_admits(origin in nearly_origins()) {
        if let Ok(policy) = OriginPolicy::exact([&origin]) {
            prop_assert!(policy.admits(Some(&origin), ANY_HOST));
        }
    }

    #[test]
    fn anything_is_judged(origin in ".*", host in ".*") {
        for scheme in [Scheme::Http, Scheme::Https] {
            let _ = OriginPolicy::same_origin(scheme).admits(Some(&origin), &host);
        }
        let _ = OriginPolicy::patterns([&origin]);
    }
}
