//! Envelopes, written and read back, cut off and malformed.

use proptest::prelude::*;

use super::*;

fn address(host: &str, port: i32) -> Address<'static> {
    Address {
        host: Cow::Owned(host.to_owned()),
        port,
    }
}

fn envelope(
    sender: Option<Address<'static>>,
    receiver: Option<Address<'static>>,
    name: &str,
) -> Envelope<'static> {
    Envelope {
        sender,
        receiver,
        name: Cow::Owned(name.to_owned()),
    }
}

/// NENV-03
#[test]
fn sender_receiver_name_and_content_survive() {
    let (sender, receiver) = (
        Some(address("localhost", 12345)),
        Some(address("localhost", 54321)),
    );
    for (sender, receiver, content) in [
        (sender.clone(), receiver.clone(), &b"foo"[..]),
        (None, receiver.clone(), b"foo"),
        (sender.clone(), None, b"foo"),
        (None, None, b"foo"),
        (sender, receiver, b"\x70"), // a null in a Java stream
        (None, None, b""),
    ] {
        let written = envelope(sender, receiver, "foo");
        let mut body = Vec::new();
        written.encode(&mut body).unwrap();
        let header = body.len();
        body.extend_from_slice(content);

        let (read, length) = Envelope::decode(&body).unwrap();
        assert_eq!((&read, length), (&written, header));
        assert_eq!(&body[length..], content);
        assert_eq!(Envelope::header_len(&body), Ok(header));
    }
}

#[test]
fn bytes_lie_as_spark_puts_them() {
    let mut out = Vec::new();
    envelope(None, Some(address("127.0.0.1", 38853)), "lab")
        .encode(&mut out)
        .unwrap();
    assert_eq!(out, b"\x00\x01\x00\x09127.0.0.1\x00\x00\x97\xc5\x00\x03lab");
}

#[test]
fn strings_without_specials_are_borrowed() {
    let body = b"\x01\x00\x01h\x00\x00\x00\x01\x00\x00\x03lab";
    let (envelope, _) = Envelope::decode(body).unwrap();
    assert!(matches!(envelope.name, Cow::Borrowed("lab")));
    assert!(matches!(envelope.sender.unwrap().host, Cow::Borrowed("h")));
}

#[test]
fn any_presence_byte_but_zero_means_present() {
    let (envelope, length) = Envelope::decode(b"\xff\x00\x01h\x00\x00\x00\x01\x00\x00\x00").unwrap();
    assert_eq!((envelope.sender, length), (Some(address("h", 1)), 11));
}

#[test]
fn a_header_that_is_cut_off_is_refused_wherever_it_ends() {
    let mut body = Vec::new();
    envelope(Some(address("a", 1)), Some(address("b", 2)), "c")
        .encode(&mut body)
        .unwrap();
    for n in 0..body.len() {
        let error = Envelope::decode(&body[..n]).unwrap_err();
        assert!(
            matches!(error, EnvelopeError::Truncated { .. }),
            "{n} bytes: {error:?}"
        );
        assert_eq!(Envelope::header_len(&body[..n]), Err(error));
    }
}

#[test]
fn a_name_of_65535_bytes_is_written_and_one_more_is_refused() {
    let mut out = b"before".to_vec();
    envelope(None, None, &"x".repeat(65535)).encode(&mut out).unwrap();
    assert_eq!(Envelope::header_len(&out[6..]), Ok(out.len() - 6));

    let mut out = b"before".to_vec();
    // A NUL takes two bytes in modified UTF-8.
    let refused = envelope(None, None, &("\0".to_owned() + &"x".repeat(65534))).encode(&mut out);
    assert_eq!(
        refused,
        Err(EnvelopeError::TooLong {
            field: "endpoint's name",
            length: 65536
        })
    );
    assert_eq!(out, b"before");
}

#[test]
fn a_name_that_is_not_modified_utf8_is_refused() {
    let refused = Envelope::decode(b"\x00\x00\x00\x02a\xff");
    assert_eq!(
        refused,
        Err(EnvelopeError::NotModifiedUtf8 {
            field: "endpoint's name",
            at: 1
        })
    );
}

fn any_address() -> impl Strategy<Value = Option<Address<'static>>> {
    proptest::option::of((any::<String>(), any::<i32>()).prop_map(|(host, port)| address(&host, port)))
}

proptest! {
    #[test]
    fn every_envelope_survives(
        sender in any_address(),
        receiver in any_address(),
        name in any::<String>(),
        content in any::<Vec<u8>>(),
    ) {
        let written = envelope(sender, receiver, &name);
        let mut body = Vec::new();
        written.encode(&mut body).unwrap();
        let header = body.len();
        body.extend_from_slice(&content);
        prop_assert_eq!(Envelope::header_len(&body), Ok(header));
        prop_assert_eq!(Envelope::decode(&body), Ok((written, header)));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(body in any::<Vec<u8>>()) {
        if let Ok((envelope, length)) = Envelope::decode(&body) {
            prop_assert_eq!(Envelope::header_len(&body), Ok(length));
            let mut again = Vec::new();
            envelope.encode(&mut again).unwrap();
            prop_assert_eq!(Envelope::decode(&again), Ok((envelope, again.len())));
        }
    }
}
