//! What a frame must survive: any bytes, any cut, any length.

use proptest::prelude::*;

use super::*;
use crate::job::JobId;

fn command(job: u64) -> Command {
    Command::Input { job: JobId(job) }
}

fn bytes_of(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut link = Vec::new();
    for (job, payload) in frames {
        write_frame(&mut link, &command(*job), payload).unwrap();
    }
    link
}

/// Hands out its bytes in pieces of the given sizes, over and over.
struct Dribble<'a> {
    rest: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl std::io::Read for Dribble<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let size = (*self.sizes.next().unwrap())
            .min(self.rest.len())
            .min(room.len());
        let (now, later) = self.rest.split_at(size);
        room[..size].copy_from_slice(now);
        self.rest = later;
        Ok(size)
    }
}

proptest! {
    #[test]
    fn frames_cut_anywhere_arrive_as_sent(
        frames in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..5000)), 0..6),
        sizes in prop::collection::vec(1_usize..700, 1..5),
    ) {
        let link = bytes_of(&frames);
        let mut reader = BlockingReader::<_, Command>::new(Dribble { rest: &link, sizes: sizes.iter().cycle() });
        for (job, payload) in &frames {
            let (message, bytes) = reader.next_frame().unwrap().unwrap();
            prop_assert_eq!(message, command(*job));
            prop_assert_eq!(&bytes[..], &payload[..]);
        }
        prop_assert!(reader.next_frame().unwrap().is_none());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = BlockingReader::<_, Report>::new(&bytes[..]);
        while let Ok(Some(_)) = reader.next_frame() {}
    }

    #[test]
    fn arbitrary_control_parts_never_panic(control in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut link = Vec::from(u32::try_from(control.len()).unwrap().to_be_bytes());
        link.extend([0; 4]);
        link.extend(&control);
        let mut reader = BlockingReader::<_, Command>::new(&link[..]);
        while let Ok(Some(_)) = reader.next_frame() {}
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_its_bytes_come() {
    let mut head = Vec::from(2_u32.to_be_bytes());
    head.extend((MAX_COMMAND_PAYLOAD as u32 + 1).to_be_bytes());
    let answer = BlockingReader::<_, Command>::new(&head[..]).next_frame();
    assert!(matches!(
        answer,
        Err(FrameError::TooLong {
            part: "payload",
            ..
        })
    ));

    let head = [0xff; 8];
    let answer = BlockingReader::<_, Report>::new(&head[..]).next_frame();
    assert!(matches!(
        answer,
        Err(FrameError::TooLong {
            part: "control part",
            ..
        })
    ));
}

#[test]
fn what_is_too_long_is_not_sent() {
    assert!(encode(&command(1), MAX_COMMAND_PAYLOAD + 1).is_err());
}

#[test]
fn a_link_that_ends_inside_a_frame_is_told_from_one_that_ended_between() {
    let link = bytes_of(&[(1, vec![1, 2, 3])]);
    let mut reader = BlockingReader::<_, Command>::new(&link[..link.len() - 1]);
    assert!(matches!(reader.next_frame(), Err(FrameError::Truncated)));
}

#[tokio::test]
async fn a_cancelled_read_loses_no_byte() {
    use tokio::io::AsyncWriteExt;
    let link = bytes_of(&[(1, vec![7; 1000]), (2, vec![])]);
    let (mut near, far) = tokio::io::duplex(64);
    let mut reader = FrameReader::<_, Command>::new(far);
    let mut frames = Vec::new();
    for piece in link.chunks(50) {
        near.write_all(piece).await.unwrap();
        // `biased` polls the read first, which takes what is there; then the read is dropped
        tokio::select! {
            biased;
            frame = reader.next() => frames.push(frame.unwrap().unwrap()),
            () = std::future::ready(()) => {}
        }
    }
    drop(near);
    while let Some(frame) = reader.next().await.unwrap() {
        frames.push(frame);
    }
    assert_eq!(
        frames,
        [
            (command(1), Bytes::from(vec![7; 1000])),
            (command(2), Bytes::new())
        ]
    );
}
