use tokio_websockets::ServerBuilder;

fn main() {
    servers::serve(async |stream| {
        if let Ok((_, ws)) = ServerBuilder::new().accept(stream).await {
            servers::echo(ws, |message| message.is_binary() || message.is_text()).await;
        }
    });
}
