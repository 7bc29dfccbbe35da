use model::sync::Arc;
use model::thread::spawn;
use worker_pool::{Bounds, WorkerPool};

pub fn every_job() {
    let pool = WorkerPool::start(Bounds::new(1, 1), |_, job: u64| job * 2);
    pool.submit(1);
    pool.submit(2);
    let results = pool.close();
    assert_eq!(results.filter_map(|done| done.result.ok()).sum::<u64>(), 6);
}

pub fn read_while_closing() {
    let pool = WorkerPool::start(Bounds::new(1, 1).with_result_limit(1), |_, job: u64| job);
    let results = pool.results();
    let reading = spawn(move || results.count());
    pool.submit(1);
    drop(pool.close());
    assert_eq!(reading.join().expect("it does not panic"), 1);
}

pub fn giving_up() {
    let job = Arc::new(());
    let pool = WorkerPool::start(Bounds::new(1, 2).with_result_limit(1), |_, job: Arc<()>| job);
    pool.submit(job.clone());
    pool.submit(job.clone());
    pool.submit(job.clone());
    drop(pool);
    assert_eq!(Arc::strong_count(&job), 1, "a job or a result is still there");
}
