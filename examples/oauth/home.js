for (const button of document.querySelectorAll("button[data-path]")) {
  button.addEventListener("click", async () => {
    const answer = await fetch(button.dataset.path, { method: button.dataset.method });
    if (answer.ok) {
      location.assign("/");
      return;
    }
    const { detail } = await answer.json();
    location.assign("/?error=" + encodeURIComponent(detail));
  });
}
