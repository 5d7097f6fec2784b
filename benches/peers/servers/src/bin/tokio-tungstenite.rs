fn main() {
    servers::serve(async |stream| {
        if let Ok(ws) = tokio_tungstenite::accept_async(stream).await {
            servers::echo(ws, |message| message.is_binary() || message.is_text()).await;
        }
    });
}
