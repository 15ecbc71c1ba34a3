<?php
// The page that session.php asks for: it counts visits and keeps a basket.
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
if (isset($_GET['add'])) {
    $_SESSION['basket'][] = $_GET['add'];
}
echo json_encode($_SESSION);
if (isset($_GET['end'])) {
    session_destroy();
}
