//! The content of one frame: what decodes, encodes, and decodes to the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spark_rpc_wire::{Event, FrameDecoder, Message, OpenFrame, primitive::Reader};

fuzz_target!(|content: &[u8]| {
    arrays(content);
    if content.is_empty() {
        return;
    }
    let bytes = [&(content.len() as u64 + 8).to_be_bytes()[..], content].concat();
    let mut decoder = FrameDecoder::new(FrameDecoder::LARGEST_FRAME);
    let Ok(Some(Event::Frame(frame))) = decoder.next(&mut &bytes[..]) else {
        panic!("the frame is whole")
    };
    let Ok(message) = frame.decode() else { return };

    if let Message::MergedBlockMetaSuccess(message) = &message
        && let Ok(bitmaps) = message.bitmaps()
    {
        for bitmap in bitmaps {
            let mut written = Vec::new();
            bitmap.encode(&mut written);
            assert_eq!(written.len(), bitmap.encoded_len());
            assert_eq!(Reader::new("fuzz", &written).bitmap("bitmap"), Ok(bitmap));
        }
    }

    let mut written = Vec::new();
    message
        .encode(&mut written)
        .expect("what came in one frame goes into one");
    let mut decoder = FrameDecoder::new(FrameDecoder::LARGEST_FRAME);
    let Ok(Some(Event::Frame(frame))) = decoder.next(&mut &written[..]) else {
        panic!("the frame is whole")
    };
    assert_eq!(frame.decode().as_ref(), Ok(&message));
    if message.kind().has_request_id() {
        let mut patched = written.clone();
        OpenFrame::set_request_id(&mut patched, spark_rpc_wire::RequestId(-1));
        assert_eq!(patched[9..17], [0xff; 8]);
    }
});

fn arrays(content: &[u8]) {
    let _ = Reader::new("fuzz", content).string("field");
    let _ = Reader::new("fuzz", content).string_array("field");
    let _ = Reader::new("fuzz", content).int_array("field");
    let _ = Reader::new("fuzz", content).long_array("field");
    let _ = Reader::new("fuzz", content).bitmap_array("field");
}
