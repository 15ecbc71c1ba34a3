//! Images and manifests: by their text, by other projects' checkers, and by running them.
//!
//! | module | what it tests |
//! |---|---|
//! | `image` | the container image, Compose, `redis.conf` and the systemd unit |
//! | `kubernetes` | `config/kubernetes`: schemas, and the requirements on a closed deployment |
//! | `namespaces` | the Kubernetes deployment in network namespaces |

mod image;
mod kubernetes;
mod namespaces;
