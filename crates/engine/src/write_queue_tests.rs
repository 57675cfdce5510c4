use super::*;

/// Bodies are just names here.
type WriteQueue = super::WriteQueue<&'static str>;

const SMALL: Bounds = Bounds {
    max_items: 3,
    max_bytes: 10,
};

fn push(queue: &mut WriteQueue, lane: Lane, frame: &[u8]) -> Pushed {
    queue.push(lane, frame, Vec::new).unwrap()
}

fn next_chunk(queue: &mut WriteQueue) -> Option<Chunk> {
    match queue.next_write()? {
        Next::Chunk(chunk) => Some(chunk),
        Next::Bulk(body) => panic!("expected a chunk, but got {body:?}"),
    }
}

fn chunk(bytes: &[u8], frames: usize) -> Option<Chunk> {
    Some(Chunk {
        bytes: bytes.to_vec(),
        frames,
    })
}

#[test]
fn small_frames_are_gathered_in_order() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    assert!(queue.is_empty());
    assert!(push(&mut queue, Lane::Normal, b"ab").was_empty);
    assert!(!push(&mut queue, Lane::Normal, b"c").was_empty);
    assert!(!push(&mut queue, Lane::Normal, b"").was_empty);
    assert_eq!(queue.load(), Load { items: 3, bytes: 3 });
    assert_eq!(next_chunk(&mut queue), chunk(b"abc", 3));
    assert_eq!(next_chunk(&mut queue), None);
    assert!(queue.is_empty());
}

#[test]
fn control_frames_pass_the_others_but_not_one_another() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    push(&mut queue, Lane::Normal, b"1");
    assert!(!push(&mut queue, Lane::Control, b"x").was_empty);
    push(&mut queue, Lane::Normal, b"2");
    push(&mut queue, Lane::Control, b"y");
    assert_eq!(next_chunk(&mut queue), chunk(b"xy", 2));
    assert_eq!(next_chunk(&mut queue), chunk(b"12", 2));
}

#[test]
fn a_control_frame_waits_for_one_chunk_at_the_most() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    let half = vec![7; CHUNK / 2 + 1];
    push(&mut queue, Lane::Normal, &half);
    push(&mut queue, Lane::Normal, &half);
    assert_eq!(next_chunk(&mut queue), chunk(&half, 1));
    push(&mut queue, Lane::Control, b"x");
    assert_eq!(next_chunk(&mut queue), chunk(b"x", 1));
    assert_eq!(next_chunk(&mut queue), chunk(&half, 1));
}

#[test]
fn a_chunk_is_filled_to_the_limit_and_not_beyond() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    push(&mut queue, Lane::Normal, &vec![1; CHUNK - 1]);
    push(&mut queue, Lane::Normal, b"2");
    push(&mut queue, Lane::Normal, b"3");
    let first = next_chunk(&mut queue).unwrap();
    assert_eq!((first.bytes.len(), first.frames), (CHUNK, 2));
    assert_eq!(next_chunk(&mut queue), chunk(b"3", 1));
}

#[test]
fn a_frame_larger_than_a_chunk_stays_whole_and_alone() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    push(&mut queue, Lane::Normal, b"a");
    push(&mut queue, Lane::Normal, &vec![1; 3 * CHUNK]);
    push(&mut queue, Lane::Normal, b"b");
    assert_eq!(next_chunk(&mut queue), chunk(b"a", 1));
    assert_eq!(next_chunk(&mut queue).unwrap().bytes.len(), 3 * CHUNK);
    assert_eq!(next_chunk(&mut queue), chunk(b"b", 1));
}

#[test]
fn an_owned_frame_keeps_its_buffer_also_when_others_follow() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    push(&mut queue, Lane::Normal, b"before");
    let owned = vec![1; 100];
    let address = owned.as_ptr();
    assert!(!queue.push_owned(Lane::Normal, owned).unwrap().was_empty);
    push(&mut queue, Lane::Normal, b"behind");

    assert_eq!(next_chunk(&mut queue), chunk(b"before", 1));
    let taken = next_chunk(&mut queue).unwrap();
    assert_eq!(
        (taken.bytes.as_ptr(), taken.bytes.len(), taken.frames),
        (address, 100, 1)
    );
    assert_eq!(next_chunk(&mut queue), chunk(b"behind", 1));
}

#[test]
fn a_spare_buffer_is_asked_for_only_when_a_chunk_begins() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    let spare = Vec::with_capacity(500);
    let address = spare.as_ptr();
    queue.push(Lane::Normal, b"a", || spare).unwrap();
    queue
        .push(Lane::Normal, b"b", || unreachable!("the chunk has room"))
        .unwrap();
    let taken = next_chunk(&mut queue).unwrap();
    assert_eq!(
        (taken.bytes.as_ptr(), taken.bytes.as_slice()),
        (address, &b"ab"[..])
    );
}

#[test]
fn what_a_spare_buffer_still_contains_never_reaches_the_socket() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    queue.push(Lane::Normal, b"new", || b"old".to_vec()).unwrap();
    assert_eq!(next_chunk(&mut queue), chunk(b"new", 1));
}

#[test]
fn what_is_taken_counts_until_it_is_written() {
    let mut queue = WriteQueue::new(SMALL);
    push(&mut queue, Lane::Normal, b"12345678");
    let taken = next_chunk(&mut queue).unwrap();
    assert!(queue.is_empty());
    assert!(!queue.has_room(3));
    let full = Full {
        load: Load { items: 1, bytes: 8 },
        bounds: SMALL,
    };
    assert_eq!(queue.push(Lane::Normal, b"abc", Vec::new), Err(full));

    queue.written(taken.frames, taken.bytes.len());
    assert_eq!(queue.load(), Load::default());
    assert!(
        push(&mut queue, Lane::Normal, b"abc").was_empty,
        "the writer sleeps again"
    );
}

#[test]
fn a_full_queue_refuses_normal_frames_by_count_and_gives_owned_ones_back() {
    let mut queue = WriteQueue::new(SMALL);
    for frame in [b"a", b"b", b"c"] {
        assert!(queue.has_room(1));
        push(&mut queue, Lane::Normal, frame);
    }
    assert!(!queue.has_room(0));
    let full = Full {
        load: Load { items: 3, bytes: 3 },
        bounds: SMALL,
    };
    assert_eq!(
        queue.push(Lane::Normal, b"d", || unreachable!("nothing is queued")),
        Err(full)
    );
    let owned = vec![4];
    let address = owned.as_ptr();
    let (back, why) = queue.push_owned(Lane::Normal, owned).unwrap_err();
    assert_eq!((back.as_ptr(), why), (address, full));
    assert_eq!(next_chunk(&mut queue), chunk(b"abc", 3));
}

#[test]
fn one_oversized_frame_is_taken_when_nothing_else_is_held() {
    let mut queue = WriteQueue::new(SMALL);
    assert!(queue.has_room(1_000));
    queue.push_owned(Lane::Normal, vec![1; 1_000]).unwrap();
    assert!(!queue.has_room(0));
    assert!(queue.push(Lane::Normal, b"", Vec::new).is_err());
}

#[test]
fn control_frames_are_taken_when_the_others_are_refused_and_count_against_them() {
    let mut queue = WriteQueue::new(SMALL);
    push(&mut queue, Lane::Normal, b"0123456789");
    push(&mut queue, Lane::Control, b"x");
    queue.push_owned(Lane::Control, b"y".to_vec()).unwrap();
    assert_eq!(queue.load(), Load { items: 3, bytes: 12 });
    assert!(!queue.has_room(0));
}

#[test]
fn control_frames_have_as_much_room_again_and_no_more() {
    let mut queue = WriteQueue::new(SMALL);
    for _ in 0..SMALL.max_items {
        push(&mut queue, Lane::Control, b"x");
    }
    let full = queue.push(Lane::Control, b"x", Vec::new).unwrap_err();
    assert_eq!(full.load.items, SMALL.max_items);
    queue.push_answer(Lane::Control, b"answers are never refused", Vec::new);

    // Those taken by the writer make room, although they still count against the others.
    next_chunk(&mut queue).unwrap();
    push(&mut queue, Lane::Control, b"x");
    assert!(queue.push(Lane::Normal, b"", Vec::new).is_err());
    assert!(!queue.has_room(0));
}

#[test]
fn what_answers_nothing_is_refused_and_never_over() {
    let mut queue = WriteQueue::new(SMALL);
    queue.push_owned(Lane::Normal, vec![1; 1_000]).unwrap();
    for _ in 0..SMALL.max_items {
        push(&mut queue, Lane::Control, b"x");
    }
    assert!(!queue.is_over(), "the reader could do nothing about it");
    for _ in 0..SMALL.max_items {
        queue.push_answer(Lane::Normal, b"x", Vec::new);
    }
    assert!(!queue.is_over(), "answers have as much room");
    queue.push_answer(Lane::Normal, b"x", Vec::new);
    assert!(queue.is_over());
    drop(queue.clear());
    assert!(!queue.is_over());
}

#[test]
fn clearing_forgets_what_waits_and_keeps_counting_what_is_being_written() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    push(&mut queue, Lane::Normal, b"being written");
    let taken = next_chunk(&mut queue).unwrap();
    push(&mut queue, Lane::Normal, b"ab");
    push(&mut queue, Lane::Normal, b"cd");
    push(&mut queue, Lane::Control, b"x");
    assert_eq!(queue.clear().0, Load { items: 3, bytes: 5 });
    assert!(queue.is_empty());
    assert_eq!(next_chunk(&mut queue), None);
    assert_eq!(queue.load(), Load { items: 1, bytes: 13 });
    queue.written(taken.frames, taken.bytes.len());
    assert_eq!(queue.load(), Load::default());
    assert_eq!(queue.clear().0, Load::default());
}

#[test]
fn a_chunk_may_be_reported_in_parts() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    push(&mut queue, Lane::Normal, b"abcdef");
    next_chunk(&mut queue).unwrap();
    queue.written(0, 4);
    assert_eq!(queue.load(), Load { items: 1, bytes: 2 });
    queue.written(1, 2);
    assert_eq!(queue.load(), Load::default());
}

#[test]
fn answers_are_taken_beyond_the_bound_until_the_reader_is_told_to_pause() {
    let mut queue = WriteQueue::new(SMALL);
    assert!(queue.push_answer(Lane::Normal, b"01234", Vec::new).was_empty);
    queue.push_owned_answer(Lane::Normal, b"56789".to_vec());
    assert!(!queue.is_over(), "full is not over");
    assert!(!queue.has_room(1));
    assert!(!queue.push_answer(Lane::Normal, b"x", Vec::new).was_empty);
    assert!(queue.is_over());
    assert!(queue.push(Lane::Normal, b"y", Vec::new).is_err(), "others wait");

    assert_eq!(next_chunk(&mut queue), chunk(b"01234", 1));
    assert!(queue.is_over(), "it is still being written");
    queue.written(1, 5);
    assert!(!queue.is_over());
    assert_eq!(next_chunk(&mut queue), chunk(b"56789", 1));
    assert_eq!(
        next_chunk(&mut queue),
        chunk(b"x", 1),
        "an owned answer stays alone"
    );
}

fn body(weight: usize, body: &'static str) -> Option<Next<&'static str>> {
    Some(Next::Bulk(Weighed { weight, body }))
}

#[test]
fn frames_go_before_bulk_bodies_and_bodies_keep_their_order() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    assert!(queue.push_bulk(5, "first").unwrap().was_empty);
    assert!(!queue.push_bulk_answer(6, "second").was_empty);
    push(&mut queue, Lane::Normal, b"n");
    push(&mut queue, Lane::Control, b"c");
    assert_eq!(next_chunk(&mut queue), chunk(b"c", 1));
    assert_eq!(next_chunk(&mut queue), chunk(b"n", 1));
    assert_eq!(queue.next_write(), body(5, "first"));
    push(&mut queue, Lane::Normal, b"between");
    assert_eq!(next_chunk(&mut queue), chunk(b"between", 1));
    assert_eq!(queue.next_write(), body(6, "second"));
    assert_eq!(queue.next_write(), None);
}

#[test]
fn a_body_waits_for_so_many_bytes_of_frames_and_no_more() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    queue.push_bulk(1, "first").unwrap();
    queue.push_bulk(1, "second").unwrap();
    let frames = PASSING / CHUNK;
    for _ in 0..3 * frames {
        queue.push_owned(Lane::Normal, vec![7; CHUNK]).unwrap();
    }
    for expected in ["first", "second"] {
        for _ in 0..frames {
            assert_eq!(next_chunk(&mut queue).unwrap().bytes.len(), CHUNK);
        }
        push(&mut queue, Lane::Control, b"x");
        assert_eq!(next_chunk(&mut queue), chunk(b"x", 1), "control passes even then");
        assert_eq!(queue.next_write(), body(1, expected));
    }
    for _ in 0..frames {
        assert!(
            next_chunk(&mut queue).is_some(),
            "nobody waits, so nobody is passed"
        );
    }
    queue.push_bulk(1, "third").unwrap();
    push(&mut queue, Lane::Normal, b"n");
    assert_eq!(next_chunk(&mut queue), chunk(b"n", 1), "its count begins anew");
}

#[test]
fn a_body_counts_with_its_weight_until_it_is_written() {
    let mut queue = WriteQueue::new(SMALL);
    queue.push_bulk(8, "heavy").unwrap();
    assert_eq!(queue.load(), Load { items: 1, bytes: 8 });
    let (back, full) = queue.push_bulk(3, "refused").unwrap_err();
    assert_eq!((back, full.load.bytes), ("refused", 8));
    assert!(
        queue.push(Lane::Normal, b"abc", Vec::new).is_err(),
        "frames and bodies share the bounds"
    );
    assert_eq!(queue.next_write(), body(8, "heavy"));
    assert!(
        queue.push_bulk(3, "refused").is_err(),
        "it is still being written"
    );
    queue.written(1, 8);
    assert_eq!(queue.load(), Load::default());

    queue.push_bulk_answer(20, "answer");
    queue.push_bulk_answer(0, "answer");
    assert!(queue.is_over(), "answers are never refused");
}

#[test]
fn bodies_are_written_together_only_while_nothing_else_waits() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    for name in ["first", "second", "third", "fourth"] {
        queue.push_bulk(1, name).unwrap();
    }
    assert_eq!(queue.next_write(), body(1, "first"));
    assert_eq!(
        queue.next_bulk_if(|next| *next == "second").map(|next| next.body),
        Some("second")
    );
    assert_eq!(queue.next_bulk_if(|_| false), None);
    for lane in [Lane::Normal, Lane::Control] {
        push(&mut queue, lane, b"x");
        assert_eq!(queue.next_bulk_if(|_| true), None);
        next_chunk(&mut queue);
    }
    assert_eq!(queue.next_bulk_if(|_| true).map(|next| next.body), Some("third"));
    assert_eq!(queue.next_write(), body(1, "fourth"));
    assert_eq!(queue.next_bulk_if(|_| unreachable!("nothing waits")), None);
}

#[test]
fn clearing_gives_the_bodies_back() {
    let mut queue = WriteQueue::new(Bounds::NONE);
    queue.push_bulk(3, "first").unwrap();
    queue.push_bulk(4, "second").unwrap();
    push(&mut queue, Lane::Normal, b"ab");
    let (load, bodies) = queue.clear();
    assert_eq!(load, Load { items: 3, bytes: 9 });
    assert_eq!(bodies.collect::<Vec<_>>(), ["first", "second"]);
    assert!(queue.is_empty());
    assert_eq!(queue.load(), Load::default());
}
