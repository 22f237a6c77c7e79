//! Being asked to stop: Ctrl-C, SIGTERM or a closed terminal set one flag, which every long walk looks at.
//!
//! Only commands that have something to put back install the watch (`up` in the foreground, `demo`, `load` and `rm` once
//! a load is open); all others simply end. Never kills anything itself: whoever started a process stops it.

use crate::exit::Failure;
use actix_rt::signal::unix::{SignalKind, signal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether somebody asked this process to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Ends a walk that was asked to stop.
pub fn check() -> Result<(), Failure> {
    if asked() { Err(Failure::interrupted()) } else { Ok(()) }
}

/// From now on signals set the flag instead of ending the process.
pub fn watch() -> Result<(), Failure> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let wait = move || {
        actix_rt::System::new().block_on(async move {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let listening: Result<Vec<_>, _> = kinds.into_iter().map(signal).collect();
            let mut signals = match listening {
                Ok(signals) => signals,
                Err(error) => return drop(ready.send(Err(error))),
            };
            // The receiver waits for exactly this word; if it is gone there is nobody to tell.
            drop(ready.send(Ok(())));
            loop {
                std::future::poll_fn(|context| {
                    if signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
                ASKED.store(true, Ordering::Relaxed);
            }
        });
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .map_err(|error| Failure::io("cannot start the thread that waits for signals", error))?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::io("cannot wait for signals", error)),
        Err(_) => Err(Failure::error("cannot wait for signals: the thread ended")),
    }
}
