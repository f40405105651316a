//! Connections that go on in another protocol.

use super::*;

#[tokio::test]
async fn what_follows_an_upgrade_passes_and_is_counted() {
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    let asked = b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(asked).await.unwrap();
    hear(&mut served, asked).await;
    let agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi";
    served.write_all(agreed).await.unwrap();
    hear(&mut client, agreed).await;
    client.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    hear(&mut served, b"\x81\x82\0\0\0\0hi").await;
    let counted = scene.counted();
    assert_eq!((counted.passed, counted.other_connections), (1, 1));
}

#[tokio::test]
async fn an_offer_of_http_2_is_not_passed_on_where_requests_are_looked_at() {
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    let offers: [(&[u8], &[u8]); 2] = [
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAA\r\nAccept: */*\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
        ),
        (
            b"GET / HTTP/1.1\r\nConnection: close, upgrade\r\nUpgrade: H2C\r\n\r\n",
            b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        ),
    ];
    for (offered, passed) in offers {
        client.write_all(offered).await.unwrap();
        hear(&mut served, passed).await;
        served.write_all(OK).await.unwrap();
        hear(&mut client, OK).await;
    }
    assert_eq!(scene.counted().passed, 2);
    // Without a rule nobody looks.
    scene.set(None);
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(offers[0].0).await.unwrap();
    hear(&mut served, offers[0].0).await;
}
