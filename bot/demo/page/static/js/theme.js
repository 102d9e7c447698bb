// Dark or light, before anything is drawn: as it was chosen here, else as the system says.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme");
    document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  window.addEventListener("theme", apply);
  apply();
})();
