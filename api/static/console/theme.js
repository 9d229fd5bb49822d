// Applies the colours that the viewer chose, before the page is painted.
(() => {
  const chosen = localStorage.getItem("quorate-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
