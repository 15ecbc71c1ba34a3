//! The guard is lost, by whatever means, and made anew before anybody's command goes out.
