//! Who closes first, and what becomes of whoever was about to ask.

use super::*;

async fn ask(client: &mut TcpStream, served: &mut TcpStream) {
    client.write_all(GET).await.unwrap();
    hear(served, GET).await;
    served.write_all(OK).await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_when_its_port_drains_is_answered() {
    let (application, address) = application().await;
    let mut scene = Scene::new(address, http(Http::default()));
    let mut asks = scene.connect().await;
    let (mut asked, _) = application.accept().await.unwrap();
    let mut idle = scene.connect().await;
    let (mut never_asked, _) = application.accept().await.unwrap();
    for (client, served) in [(&mut asks, &mut asked), (&mut idle, &mut never_asked)] {
        ask(client, served).await;
        hear(client, OK).await;
    }
    scene.relays.drain(scene.id, scene.address.port(), PATIENCE);
    // By then the relay knows. The client cannot.
    tokio::time::sleep(Duration::from_millis(50)).await;
    ask(&mut asks, &mut asked).await;
    hear(
        &mut asks,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    )
    .await;
    assert_eq!(end(&mut asks).await.unwrap(), 0);
    // Who does not ask for a while is closed.
    assert_eq!(end(&mut idle).await.unwrap(), 0);
}

#[tokio::test]
async fn an_application_that_closes_what_was_silent_spoke_nothing_else() {
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    let mut client = scene.connect().await;
    let (served, _) = application.accept().await.unwrap();
    drop(served);
    assert_eq!(end(&mut client).await.unwrap(), 0);
    let counted = scene.counted();
    assert_eq!((counted.connections, counted.other_connections), (1, 0));
}
