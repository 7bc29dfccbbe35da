use model::thread::spawn;
use wait_group::{Panicked, Panics};

pub fn none_lost() {
    let panics = Panics::default();
    let workers = [1, 2].map(|worker| {
        let panics = panics.clone();
        spawn(move || {
            panics.record(worker, Err(Box::new("bad")));
            panics.record(worker + 2, Ok(()));
        })
    });
    let mut told = panics.take();
    workers.into_iter().for_each(|worker| worker.join().expect("it does not panic"));
    told.extend(panics.take());
    told.sort_by_key(|panicked| panicked.worker);
    let panicked = |worker| Panicked { worker, message: "bad".to_owned() };
    assert_eq!(told, [panicked(1), panicked(2)]);
}
