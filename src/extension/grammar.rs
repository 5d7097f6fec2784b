//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::http::token::{self, is_token};

/// How many extensions one handshake may list. Browsers offer one or two.
const MAX_EXTENSIONS: usize = 16;
/// How many parameters one extension may have. The registered ones define four at most.
const MAX_PARAMETERS: usize = 16;

/// One extension with its parameters: an offer in a request, an agreement in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) parameters: Vec<Parameter<'a>>,
}

/// A parameter of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a [u8],
    /// Without quotes and escapes: owned only if there were escapes.
    pub(crate) value: Option<Cow<'a, [u8]>>,
}

/// The value does not fit the grammar, or lists too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedExtensions;

/// Reads the list of extensions from all header lines of a handshake, in order.
///
/// Names and values are data only: nothing is looked up by them here (HARDENING A1.4).
pub(crate) fn parse<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Extension<'a>>, MalformedExtensions> {
    let mut extensions: Vec<Extension<'a>> = Vec::new();
    walk(lines, |part| match part {
        Part::Name(name) => extensions.push(Extension {
            name,
            parameters: Vec::new(),
        }),
        Part::Parameter(parameter) => {
            if let Some(extension) = extensions.last_mut() {
                extension.parameters.push(parameter);
            }
        }
    })?;
    Ok(extensions)
}

/// Checks what [`parse`] does, and keeps nothing.
pub(crate) fn check<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<(), MalformedExtensions> {
    walk(lines, |_| ())
}

/// What an extension consists of: its name, then its parameters.
enum Part<'a> {
    Name(&'a [u8]),
    Parameter(Parameter<'a>),
}

fn walk<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    mut visit: impl FnMut(Part<'a>),
) -> Result<(), MalformedExtensions> {
    let mut extensions = 0;
    // 6455-9.1-03, 6455-11.3.2-01, and erratum 3433 for responses: several lines are one list.
    for line in lines {
        let mut cursor = Cursor { rest: line };
        loop {
            // K16: empty members are skipped, so a list of them is no list.
            while cursor.eat(b',') {}
            if cursor.rest.is_empty() {
                break;
            }
            if extensions == MAX_EXTENSIONS {
                return Err(MalformedExtensions);
            }
            cursor.extension(&mut visit)?;
            extensions += 1;
            if !cursor.rest.is_empty() && !cursor.eat(b',') {
                return Err(MalformedExtensions);
            }
        }
    }
    Ok(())
}

/// What is left of a line. Each byte is passed once; nothing goes back.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn extension(&mut self, visit: &mut impl FnMut(Part<'a>)) -> Result<(), MalformedExtensions> {
        visit(Part::Name(self.token()?));
        let mut parameters = 0;
        while self.eat(b';') {
            if parameters == MAX_PARAMETERS {
                return Err(MalformedExtensions);
            }
            let name = self.token()?;
            let value = if self.eat(b'=') {
                Some(self.value()?)
            } else {
                None
            };
            visit(Part::Parameter(Parameter { name, value }));
            parameters += 1;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Cow<'a, [u8]>, MalformedExtensions> {
        self.skip_space();
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            return self.token().map(Cow::Borrowed);
        };
        // 6455-4.3-03, 6455-9.1-02: what is in the quotes must be a token once the escapes are
        // gone. So the first byte that no token has, the closing quote or not, ends the
        // search: an unclosed string cannot cost more than that.
        let plain = token_len(quoted);
        let (front, mut rest) = quoted.split_at(plain);
        let mut unescaped = Vec::new();
        while let [b'\\', byte, tail @ ..] = rest {
            if unescaped.is_empty() {
                unescaped.extend_from_slice(front);
            }
            unescaped.push(*byte);
            let plain = token_len(tail);
            let (middle, tail) = tail.split_at(plain);
            unescaped.extend_from_slice(middle);
            rest = tail;
        }
        self.rest = rest.strip_prefix(b"\"").ok_or(MalformedExtensions)?;
        self.skip_space();
        if unescaped.is_empty() {
            return if front.is_empty() {
                Err(MalformedExtensions)
            } else {
                Ok(Cow::Borrowed(front))
            };
        }
        if !is_token(&unescaped) {
            return Err(MalformedExtensions);
        }
        Ok(Cow::Owned(unescaped))
    }

    fn token(&mut self) -> Result<&'a [u8], MalformedExtensions> {
        self.skip_space();
        let len = token_len(self.rest);
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.skip_space();
        if token.is_empty() {
            return Err(MalformedExtensions);
        }
        Ok(token)
    }

    /// Passes `byte` with the space around it, if it comes next.
    fn eat(&mut self, byte: u8) -> bool {
        // 6455-4.3-06: spaces around separators are allowed.
        self.skip_space();
        #[cfg(test)]
        crate::steps::looked_at(1);
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                self.skip_space();
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            #[cfg(test)]
            crate::steps::looked_at(1);
            self.rest = rest;
        }
    }
}

fn token_len(bytes: &[u8]) -> usize {
    let len = token::token_len(bytes);
    #[cfg(test)]
    crate::steps::looked_at(len + 1);
    len
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;

    fn shown(lines: &[&str]) -> Result<String, MalformedExtensions> {
        let extensions = parse(lines.iter().map(|line| line.as_bytes()))?;
        let mut text = String::new();
        for extension in extensions {
            text += core::str::from_utf8(extension.name).unwrap();
            for parameter in extension.parameters {
                text += &format!(";{}", core::str::from_utf8(parameter.name).unwrap());
                if let Some(value) = parameter.value {
                    text += &format!("={}", core::str::from_utf8(&value).unwrap());
                }
            }
            text += "|";
        }
        Ok(text)
    }

    #[test]
    fn well_formed() {
        for (lines, expected) in [
            (&["permessage-deflate"][..], "permessage-deflate|"),
            // X-02.
            (
                &[" permessage-deflate ; client_max_window_bits ", "b;c = 12"],
                "permessage-deflate;client_max_window_bits|b;c=12|",
            ),
            // X-04.
            (&[""], ""),
            (&[",,", " , "], ""),
            (&[",a,,b,"], "a|b|"),
            // X-05, X-29.
            (
                &["x-unknown; foo=bar, __proto__"],
                "x-unknown;foo=bar|__proto__|",
            ),
            // X-12, 6455-4.3-03.
            (&[r#"a;b="9""#], "a;b=9|"),
            (&[r#"a;b="1\0";c"#], "a;b=10;c|"),
            (&[r#"a;b="\1\0x" , c"#], "a;b=10x|c|"),
        ] {
            assert_eq!(shown(lines), Ok(expected.to_string()), "{lines:?}");
        }
    }

    #[test]
    fn malformed() {
        // X-03.
        for line in [
            ";",
            "a;",
            "a=",
            "a;b=",
            "a;=b",
            "a;b=\"x",
            "a;b=\"x y\"",
            "a b",
            "\"a\"",
            "a;b==c",
            "a;;b",
            "=x",
            "a;b=\"\"",
            "a;b=\"a\\\"\"",
            "a;b=\"x\"y",
            "a;b=\"\\",
            "é",
            "a;b=é",
            "a;b=\"é\"",
            "a\0",
        ] {
            assert_eq!(shown(&[line]), Err(MalformedExtensions), "{line:?}");
            assert_eq!(shown(&["ok", line]), Err(MalformedExtensions), "{line:?}");
        }
    }

    #[test]
    fn floods() {
        // X-28: the walk ends at the first excess, and at the end of an unclosed string.
        let escapes = format!("a; b=\"{}", "\\c".repeat(4096));
        assert_eq!(shown(&[&escapes]), Err(MalformedExtensions));
        assert!(shown(&["a,".repeat(16).as_str()]).is_ok());
        assert_eq!(shown(&["a,".repeat(17).as_str()]), Err(MalformedExtensions));
        assert!(shown(&[format!("a{}", ";b".repeat(16)).as_str()]).is_ok());
        assert_eq!(
            shown(&[format!("a{}", ";b".repeat(17)).as_str()]),
            Err(MalformedExtensions)
        );
        assert_eq!(shown(&[&" ".repeat(1 << 14)]), Ok(String::new()));
    }
}
