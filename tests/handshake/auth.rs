//! Who the client is: `Authorization` of both roles.

use proptest::prelude::*;
use sockeye::Config;
use sockeye::handshake::{
    Basic, Bearer, ClientHandshake, ClientRequest, HeaderError, Refusal, Request, RequestError,
    constant_time_eq,
};

use super::server::{feed, judge, server};
use super::{BASE, NONCE, START, UPGRADE, drain, parses, swap};

/// The base request with lines added.
fn request(lines: &str) -> Request {
    judge(swap(BASE, UPGRADE, format!("{UPGRADE}{lines}"))).unwrap()
}

fn basic(value: &str) -> Option<(String, String)> {
    Basic::from_request(&request(&format!("Authorization: {value}\r\n"))).map(|credentials| {
        (
            credentials.user().to_owned(),
            credentials.password().to_owned(),
        )
    })
}

fn bearer(value: &str) -> Option<String> {
    Bearer::from_request(&request(&format!("Authorization: {value}\r\n")))
        .map(|credentials| credentials.token().to_owned())
}

/// The head that a client sends.
fn sent(request: &ClientRequest) -> Result<String, RequestError> {
    let mut client = ClientHandshake::new(&Config::new(), request, NONCE, START)?;
    Ok(String::from_utf8(drain(client.poll_transmit())).unwrap())
}

fn to_server() -> ClientRequest {
    ClientRequest::new("wss://server.example.com/chat").unwrap()
}

/// The `WWW-Authenticate` of an answer.
fn asks(refusal: Refusal) -> String {
    let mut handshake = server();
    feed(&mut handshake, BASE.as_bytes(), [usize::MAX])
        .0
        .unwrap();
    handshake.reject(refusal).unwrap();
    let answer = drain(handshake.poll_transmit());
    assert_eq!(parses(&answer), 401);
    let answer = String::from_utf8(answer).unwrap();
    let (_, line) = answer.split_once("\r\nWWW-Authenticate: ").unwrap();
    line.split_once("\r\n").unwrap().0.to_owned()
}

#[test]
fn basic_is_read() {
    for (value, user, password) in [
        // The example in section 2 of RFC 7617, and that in section 2.1.
        (
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        ),
        ("Basic dGVzdDoxMjPCow==", "test", "123£"),
        (
            "bASIC QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        ),
        ("Basic   YTpi", "a", "b"),
        ("Basic YTpiOmM=", "a", "b:c"),
        ("Basic Og==", "", ""),
        ("Basic OmI=", "", "b"),
        ("Basic YTo=", "a", ""),
    ] {
        let expected = Some((user.to_owned(), password.to_owned()));
        assert_eq!(basic(value), expected, "{value}");
    }
    for value in [
        "",
        "Basic",
        "Basic YWI=",
        "Basic YTpiOmM",
        "Basic YTpiOmM==",
        "Basic YTpiOmN=",
        "Basic YTpi YTpi",
        "Basic YTpi,",
        "Basic\tYTpi",
        "Basic a:b",
        "Basic -_8=",
        // Not UTF-8, and control characters.
        "Basic Ojo6/w==",
        "Basic YTpiCg==",
        "Basic AGE6Yg==",
        "Basic YTp/",
        "Bearer YTpi",
        "BasicYTpi",
        "Digest YTpi",
        "é YTpi",
    ] {
        assert_eq!(basic(value), None, "{value}");
    }
    assert!(Basic::from_request(&request("")).is_none());
    let proxy = "Proxy-Authorization: Basic YTpi\r\n";
    assert!(Basic::from_request(&request(proxy)).is_none());
}

#[test]
fn bearer_is_read() {
    for token in ["mF_9.B5f-4.1JqM", "a", "a==", "a+/~=", "eyJ.eyJ.sig"] {
        assert_eq!(bearer(&format!("Bearer {token}")), Some(token.to_owned()));
        assert_eq!(bearer(&format!("bearer  {token}")), Some(token.to_owned()));
    }
    for value in [
        "Bearer",
        "Bearer =",
        "Bearer a=b",
        "Bearer a b",
        "Bearer a,b",
        "Bearer \"a\"",
        "Bearer é",
        "Bearer\ta",
        "Basic a",
        "a",
    ] {
        assert_eq!(bearer(value), None, "{value}");
    }
}

#[test]
fn two_authorizations_are_none() {
    let lines = "Authorization: Basic YTpi\r\nauthorization: Bearer a\r\n";
    assert!(Basic::from_request(&request(lines)).is_none());
    assert!(Bearer::from_request(&request(lines)).is_none());
    let same = "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n";
    assert!(Bearer::from_request(&request(same)).is_none());
}

#[test]
fn matching() {
    let line = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
    let credentials = Basic::from_request(&request(line)).unwrap();
    assert!(credentials.matches("Aladdin", "open sesame"));
    for (user, password) in [
        ("aladdin", "open sesame"),
        ("Aladdin", "open sesamE"),
        ("Aladdin", "open sesam"),
        ("Aladdin", "open sesame "),
        ("Aladdin", ""),
        ("", "open sesame"),
        ("open sesame", "Aladdin"),
        ("", ""),
    ] {
        assert!(!credentials.matches(user, password), "{user:?}");
    }
    let token = Bearer::from_request(&request("Authorization: Bearer abc=\r\n")).unwrap();
    assert!(token.matches("abc="));
    for other in ["", "abc", "abd=", "Abc=", "abc=="] {
        assert!(!token.matches(other), "{other:?}");
    }
}

#[test]
fn debug_hides_secrets() {
    let lines = "Authorization: Basic YWRhOnNlc2FtZQ==\r\n";
    let request = request(lines);
    let credentials = Basic::from_request(&request).unwrap();
    assert!(credentials.matches("ada", "sesame"));
    let client = to_server().with_basic_auth("ada", "sesame");
    let handshake = ClientHandshake::new(&Config::new(), &client, NONCE, START).unwrap();
    let token = to_server().with_bearer("sesame");
    let bad = to_server().with_basic_auth("a:da", "sesame");
    for shown in [
        format!("{credentials:#?} {request:?}"),
        format!("{client:?} {handshake:?}"),
        format!("{token:#?} {bad:?}"),
    ] {
        assert!(shown.contains("(hidden)"), "{shown}");
        assert!(
            !shown.contains("sesame") && !shown.contains("YWRh"),
            "{shown}"
        );
    }
    let line = "Authorization: Bearer sesame\r\n";
    let bearer = Bearer::from_request(&self::request(line)).unwrap();
    assert_eq!(format!("{bearer:?}"), "Bearer(hidden)");
}

#[test]
fn challenges() {
    for (realm, quoted) in [
        ("chat", r#""chat""#),
        ("", r#""""#),
        (r#"a "b" \c"#, r#""a \"b\" \\c""#),
        ("x\", Basic realm=\"y", r#""x\", Basic realm=\"y""#),
        ("\\", r#""\\""#),
        ("tür", r#""tür""#),
    ] {
        let basic = format!("Basic realm={quoted}, charset=\"UTF-8\"");
        assert_eq!(asks(Basic::challenge(realm)), basic);
        assert_eq!(
            asks(Bearer::challenge(realm)),
            format!("Bearer realm={quoted}")
        );
        let invalid = format!("Bearer realm={quoted}, error=\"invalid_token\"");
        assert_eq!(asks(Bearer::invalid(realm)), invalid);
    }
    for realm in ["a\r\nX: y", "a\nb", "a\0b"] {
        for refusal in [
            Basic::challenge(realm),
            Bearer::challenge(realm),
            Bearer::invalid(realm),
        ] {
            let mut handshake = server();
            feed(&mut handshake, BASE.as_bytes(), [usize::MAX])
                .0
                .unwrap();
            assert_eq!(handshake.reject(refusal), Err(HeaderError::Value.into()));
            assert!(handshake.poll_transmit().is_none());
        }
    }
}

#[test]
fn clients_send_one() {
    let line = "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
    let basic = to_server().with_basic_auth("Aladdin", "open sesame");
    assert!(sent(&basic).unwrap().contains(line));
    // The last one counts.
    let head = sent(&basic.clone().with_bearer("a.b")).unwrap();
    assert!(head.contains("\r\nAuthorization: Bearer a.b\r\n"));
    assert_eq!(head.matches("Authorization").count(), 1);
    // But not beside one by hand.
    let both = basic.with_header("authorization", "Bearer a");
    assert_eq!(sent(&both), Err(HeaderError::Reserved.into()));
    let by_hand = to_server().with_header("Authorization", "Bearer a:b");
    assert!(sent(&by_hand).unwrap().contains("Bearer a:b\r\n"));
}

#[test]
fn clients_refuse_what_is_not_valid() {
    for (user, password) in [
        ("a:b", "c"),
        (":", ""),
        ("a\r\nX: y", "b"),
        ("a\0", "b"),
        ("a", "b\n"),
        ("a", "\u{7f}"),
    ] {
        let request = to_server().with_basic_auth(user, password);
        assert_eq!(sent(&request), Err(RequestError::Credentials), "{user:?}");
        // A mistake can be made good.
        assert!(sent(&request.with_bearer("a")).is_ok());
    }
    for token in ["", "=", "a b", "a:b", "a=b", "a\r\nX: y", "é"] {
        let request = to_server().with_bearer(token);
        assert_eq!(sent(&request), Err(RequestError::Token), "{token:?}");
    }
}

proptest! {
    #[test]
    fn comparison_agrees_with_equality(
        a in prop::collection::vec(any::<u8>(), 0..40),
        b in prop::collection::vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        prop_assert_eq!(constant_time_eq(&a, &b), a == b);
        prop_assert!(constant_time_eq(&a, &a.clone()));
        // One bit is enough, wherever it is.
        let mut other = a.clone();
        if !a.is_empty() {
            other[at.index(a.len())] ^= 1 << bit;
            prop_assert!(!constant_time_eq(&a, &other));
        }
    }

    #[test]
    fn basic_survives_the_way(user in "\\PC{0,20}", password in "\\PC{0,20}", other in "\\PC{0,3}") {
        let request = to_server().with_basic_auth(&user, &password);
        if user.contains(':') {
            prop_assert_eq!(sent(&request), Err(RequestError::Credentials));
        } else {
            let request = judge(sent(&request).unwrap()).unwrap();
            let credentials = Basic::from_request(&request).unwrap();
            prop_assert!(credentials.matches(&user, &password));
            prop_assert_eq!(credentials.matches(&user, &other), password == other);
            prop_assert_eq!(credentials.matches(&other, &password), user == other);
        }
    }

    #[test]
    fn bearer_survives_the_way(token in "[a-zA-Z0-9._~+/-]{1,40}={0,3}") {
        let request = judge(sent(&to_server().with_bearer(&token)).unwrap()).unwrap();
        prop_assert!(Bearer::from_request(&request).unwrap().matches(&token));
    }

    #[test]
    fn any_authorization_is_read(value in "(Basic |Bearer )?[ -~]{0,40}") {
        let _ = basic(&value);
        let _ = bearer(&value);
    }
}
