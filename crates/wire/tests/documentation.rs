//! The worked example of `docs/protocol.md` against the encoder.

use spark_rpc_wire::{Address, Envelope, OpenFrame, RequestId};

/// Returns the bytes in the page's code blocks, one block after the other. Words of hex stand in the first columns.
fn documented() -> Vec<u8> {
    const HEX_COLUMNS: usize = 40;
    let page = include_str!("../../../docs/protocol.md");
    let blocks = page
        .split("```text\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let digits: String = blocks
        .flat_map(str::lines)
        .flat_map(|line| line[..HEX_COLUMNS].chars().filter(|character| *character != ' '))
        .collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_example_on_the_page_is_what_the_encoder_writes() {
    let id = RequestId(0x0123_4567_89ab_cdef);
    let receiver = Address {
        host: "127.0.0.1".into(),
        port: 52345,
    };
    let envelope = Envelope {
        sender: None,
        receiver: Some(receiver),
        name: "hello".into(),
    };

    let mut out = Vec::new();
    let request = OpenFrame::rpc_request(&mut out, id);
    envelope.encode(&mut out).unwrap();
    out.extend_from_slice(b"hi");
    request.finish(&mut out).unwrap();
    let response = OpenFrame::rpc_response(&mut out, id);
    out.extend_from_slice(b"HI");
    response.finish(&mut out).unwrap();

    assert_eq!(documented(), out);
}
