mod support;
use support::*;
use std::time::Instant;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
#[tokio::test(flavor = "multi_thread")]
async fn speed() {
    on_every_engine(async |engine| {
        let suite = Suite::new(&engine).await;
        let billing = Arc::new(suite.start().await);
        let ada = contact("ada");
        suite.pipeline.put(&ada, "client");
        billing.draft(&ada).await.unwrap();
        let n = 3000usize;
        for clients in [1usize, 16] {
            let names = Arc::new(std::sync::Mutex::new(Vec::new()));
            let t = Instant::now();
            let left = Arc::new(AtomicUsize::new(n));
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..clients { let (b, a, names, left) = (billing.clone(), ada.clone(), names.clone(), left.clone());
                set.spawn(async move { while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |v| v.checked_sub(1)).is_ok() { let d = b.draft(&a).await.unwrap(); names.lock().unwrap().push(d.name); } }); }
            while set.join_next().await.is_some() {}
            println!("{} create x{clients}: {:.0}/s", engine.name(), n as f64 / t.elapsed().as_secs_f64());
            let t = Instant::now();
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..clients { let (b, names) = (billing.clone(), names.clone());
                set.spawn(async move { loop { let name = names.lock().unwrap().pop(); let Some(name) = name else { break }; b.issue(&name).await.unwrap(); } }); }
            while set.join_next().await.is_some() {}
            println!("{} issue x{clients}: {:.0}/s", engine.name(), n as f64 / t.elapsed().as_secs_f64());
            let t = Instant::now();
            let mut set = tokio::task::JoinSet::new();
            let name = billing.draft(&ada).await.unwrap().name;
            for _ in 0..clients { let (b, name) = (billing.clone(), name.clone());
                set.spawn(async move { for _ in 0..(3000/clients) { b.get(&name).await.unwrap(); } }); }
            while set.join_next().await.is_some() {}
            println!("{} get x{clients}: {:.0}/s", engine.name(), n as f64 / t.elapsed().as_secs_f64());
        }
        let t = Instant::now();
        println!("verify {} in {:?}", billing.verify().await.unwrap(), t.elapsed());
    }).await;
}
