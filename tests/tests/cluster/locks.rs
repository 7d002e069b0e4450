//! Locks from end to end.

use holdfast_client::Client;
use holdfast_tests::local::LocalCluster;

#[tokio::test]
async fn a_lock_is_held_released_and_held_again() {
    let cluster = LocalCluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let mutex = client.mutex("jobs/nightly");
    let first = mutex.lock().await.unwrap();
    assert!(mutex.try_lock().await.unwrap().is_none(), "it is held");
    let token = first.token();
    first.unlock().await.unwrap();
    let second = mutex.try_lock().await.unwrap().unwrap();
    assert!(second.token() > token);
    client.close().await.unwrap();
    cluster.shutdown().await;
}
