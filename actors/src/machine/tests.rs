use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

/// Two cores and 8 GiB; three quarters of the cores and one of the memory are video's; four streams at most.
fn machine() -> Machine {
    let shares = Shares {
        total: amount(2000, 8),
        video_cpu: 75,
        video_memory: 25,
        sessions: 4,
    };
    Machine::new(shares, crate::test_metrics().machine.clone())
}

fn amount(cpu: u64, gib: u64) -> Amount {
    Amount {
        cpu,
        memory: gib * GIB,
    }
}

#[test]
fn without_models_only_the_operator_bounds_streams() {
    let machine = machine();
    machine.set_session(amount(1900, 7));
    let streams: Vec<_> = (0..9).map(|_| machine.take_stream()).collect();
    assert!(streams.iter().all(Option::is_some));
}

#[test]
fn streams_leave_models_their_share_of_the_processors() {
    let machine = machine();
    machine.set_ai_wants(amount(1000, 1));
    machine.set_session(amount(600, 0));
    let first = machine.take_stream().expect("600 of 1500");
    let second = machine.take_stream().expect("1200 of 1500");
    assert!(machine.take_stream().is_none(), "1800 of 1500");
    assert!(!machine.fits_stream());
    machine.set_session(amount(400, 0));
    assert!(machine.fits_stream(), "measured again, three fit");
    drop((first, second));
    assert_eq!(machine.sessions(), 0);
}

#[test]
fn what_models_could_not_use_is_streams_to_take() {
    let machine = machine();
    machine.set_ai_wants(amount(100, 1));
    machine.set_session(amount(600, 0));
    let streams: Vec<_> = (0..3).filter_map(|_| machine.take_stream()).collect();
    assert_eq!(streams.len(), 3, "1800 of 1900");
}

#[test]
fn models_borrow_idle_processors_and_give_way_when_streams_come() {
    let machine = machine();
    machine.set_ai_wants(amount(2000, 1));
    machine.set_session(amount(600, 0));
    let both = (machine.take_cpu(1000), machine.take_cpu(1000));
    assert!(both.0.is_some() && both.1.is_some(), "video is idle");
    let stream = machine.take_stream().expect("video has its share");
    drop(both);
    let first = machine.take_cpu(1000).expect("one may always compute");
    assert!(!machine.fits_ai(1000) && machine.take_cpu(1000).is_none());
    drop((stream, first));
    assert!(machine.fits_ai(1000));
}

#[test]
fn a_model_is_not_loaded_into_what_streams_could_still_use() {
    let machine = machine();
    machine.set_ai_wants(amount(0, 8));
    machine.set_session(amount(0, 1));
    assert!(machine.take_memory(7 * GIB).is_none(), "2 are video's");
    let model = machine.take_memory(6 * GIB).expect("the rest");
    machine.set_most_sessions(1);
    assert!(machine.take_memory(GIB).is_some(), "one stream needs but 1");
    drop(model);
}

#[test]
fn a_model_that_grew_counts_as_it_is() {
    let machine = machine();
    machine.set_ai_wants(amount(0, 8));
    machine.set_session(amount(0, 0));
    let mut model = machine.take_memory(2 * GIB).expect("fits");
    model.grown(7 * GIB);
    model.grown(GIB);
    assert!(machine.take_memory(2 * GIB).is_none());
    drop(model);
    assert!(machine.take_memory(8 * GIB).is_some());
}

proptest! {
    /// Whatever comes and goes: memory is never promised twice, and the books are empty in the end.
    #[test]
    fn memory_is_promised_once(
        session in 0..3u64,
        most in 0..8usize,
        steps in prop::collection::vec((any::<bool>(), 0..5u64, any::<bool>()), 0..60),
    ) {
        let machine = machine();
        machine.set_ai_wants(amount(2000, 8));
        machine.set_session(amount(0, session));
        machine.set_most_sessions(most);
        let mut held = Vec::new();
        for (stream, size, ends) in steps {
            if ends {
                held.pop();
            } else if stream {
                held.extend(machine.take_stream());
            } else {
                held.extend(machine.take_memory(size * GIB));
            }
            let ledger = machine.ledger.lock();
            let sum = ledger.ai_holds.plus(ledger.video_holds());
            // The first stream is let in whatever it takes.
            prop_assert!(sum.memory <= ledger.total.memory || ledger.sessions <= 1);
        }
        drop(held);
        let ledger = machine.ledger.lock();
        prop_assert_eq!((ledger.sessions, ledger.ai_holds), (0, Amount::default()));
    }
}
