use redis::{Client, Commands as _, RedisResult, TlsCertificates};

// before: greeting("redis://:REDIS_PASSWORD@redis:6379/0")
// after: greeting("redis://default:REDOUBT_PASSWORD@redoubt:6380/0")
fn greeting(url: &str) -> RedisResult<String> {
    Client::open(url)?.get_connection()?.get("greeting")
}

fn greeting_in_tls(url: &str, ca: Vec<u8>) -> RedisResult<String> {
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca) };
    Client::build_with_tls(url, certificates)?.get_connection()?.get("greeting")
}
