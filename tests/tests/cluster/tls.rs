//! The client port with a certificate.

use std::path::Path;
use std::time::Duration;

use holdfast_client::Dialer;
use holdfast_server::{Node, StartError, TlsFiles};
use holdfast_tests::local::{LocalCluster, eventually};
use tokio::io::AsyncReadExt;

use crate::program::{Ended, holdfast, run};

/// A certificate for this machine, signed by itself; returns it as PEM.
fn certify(directory: &Path) -> (TlsFiles, String) {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let files = TlsFiles { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    (files, made.cert.pem())
}

#[tokio::test]
async fn an_encrypted_port_serves_those_who_trust_it_and_takes_a_new_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let (files, trusted) = certify(directory.path());
    let encrypt = |settings: &mut holdfast_server::Settings| {
        settings.client_tls = Some(files.clone());
    };
    let cluster = LocalCluster::launch(3, encrypt).await;
    let dialer = Dialer::tls(trusted.as_bytes()).expect("a dialer");
    let client = cluster.client().dialer(dialer.clone()).connect().await.expect("a session");
    client.mutex("m").lock().await.expect("locked").unlock().await.expect("unlocked");
    // Calls that any node takes are passed on between nodes as before.
    for endpoint in cluster.endpoints() {
        let mut watch = holdfast_client::Client::builder()
            .endpoints([endpoint])
            .dialer(dialer.clone())
            .watch()
            .from_revision(1)
            .start()
            .await
            .expect("a watch");
        watch.next().await.expect("an event");
    }

    // Who does not encrypt, or trusts somebody else, gets nowhere.
    let short = Duration::from_millis(500);
    let plain = cluster.client().connect_timeout(short).connect().await;
    assert!(plain.is_err());
    let elsewhere = tempfile::tempdir().expect("a directory");
    let (other_files, other) = certify(elsewhere.path());
    let stranger = Dialer::tls(other.as_bytes()).expect("a dialer");
    let refused = cluster.client().dialer(stranger.clone()).connect_timeout(short).connect().await;
    assert!(refused.is_err());

    // The files are replaced, and the next handshake is with the new ones. Who was there stays.
    std::fs::copy(&other_files.cert, &files.cert).expect("copied");
    std::fs::copy(&other_files.key, &files.key).expect("copied");
    eventually("the new certificate is in use", || async {
        let client = cluster.client().dialer(stranger.clone()).connect_timeout(short);
        client.connect().await.is_ok()
    })
    .await;
    client.mutex("m").lock().await.expect("locked").unlock().await.expect("unlocked");
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_shakes_hands_and_asks_for_nothing_is_not_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let (files, trusted) = certify(directory.path());
    let cluster = LocalCluster::launch(1, |settings| settings.client_tls = Some(files.clone()));
    let cluster = cluster.await;
    let dialer = Dialer::tls(trusted.as_bytes()).expect("a dialer");
    let mut visitor = dialer.open(&cluster.endpoints()[0]).await.expect("the port is open");
    let mut said = Vec::new();
    // Its end is not announced, which TLS takes for a mistake.
    let end = tokio::time::timeout(Duration::from_secs(25), visitor.read_to_end(&mut said)).await;
    let _ = end.expect("it is closed");
    assert!(said.is_empty(), "nothing was asked");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_delivery_is_kept_and_settled_on_an_encrypted_port() {
    let directory = tempfile::tempdir().expect("a directory");
    let (files, _) = certify(directory.path());
    let encrypt = |settings: &mut holdfast_server::Settings| {
        settings.client_tls = Some(files.clone());
    };
    let cluster = LocalCluster::launch(1, encrypt).await;
    let at = &cluster.endpoints()[0];
    let trust = files.cert.display().to_string();
    let queue = async |arguments: &[&str]| -> Ended {
        let mut command = holdfast(&[&["queue"], arguments].concat());
        command.args(["--endpoints", at, "--tls-ca", &trust]);
        run(command).await
    };
    queue(&["push", "mail", "a"]).await.printed();
    let kept = queue(&["pop", "mail", "--keep"]).await;
    let ticket = kept.stderr.trim().to_owned();
    assert_eq!(kept.printed(), "a\n");
    queue(&["ack", &ticket, "--extend", "1m"]).await.printed();
    queue(&["ack", &ticket]).await.printed();
    queue(&["pop", "mail"]).await.failed(75, "no message is ready");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let (files, _) = certify(directory.path());
    let elsewhere = tempfile::tempdir().expect("a directory");
    let (other, _) = certify(elsewhere.path());
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    let missing = directory.path().join("missing.pem");
    let wrong = [
        (TlsFiles { cert: missing.clone(), key: files.key.clone() }, "missing.pem"),
        (TlsFiles { cert: empty, key: files.key.clone() }, "empty.pem"),
        (TlsFiles { cert: files.cert.clone(), key: files.cert.clone() }, "cert.pem"),
        (TlsFiles { cert: files.cert.clone(), key: other.key }, "does not fit"),
    ];
    let cluster = LocalCluster::start(1).await;
    for (files, why) in wrong {
        let mut settings = cluster.settings[0].clone();
        settings.client_listen = "127.0.0.1:0".into();
        settings.peer_listen = "127.0.0.1:0".into();
        settings.data_dir = directory.path().join("node");
        settings.client_tls = Some(files);
        let Err(error) = Node::start(settings).await else { panic!("it starts") };
        assert!(matches!(error, StartError::Certificate(_)), "{error}");
        assert!(error.to_string().contains(why), "{error} says nothing of {why}");
    }
    cluster.shutdown().await;
}
