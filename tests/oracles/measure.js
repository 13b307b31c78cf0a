// Runs in the picture: see flame.rs. CLICKED is replaced.
(function () {
    var errors = [];
    window.addEventListener("error", function (event) { errors.push(String(event.message)); });
    function frames() {
        return Array.from(document.querySelectorAll("#frames g")).map(function (g) {
            var rect = g.querySelector("rect").getBoundingClientRect();
            var text = g.querySelector("text");
            return {
                title: g.querySelector("title").textContent,
                x: rect.x, y: rect.y, width: rect.width, height: rect.height,
                label: text ? text.textContent : "",
                label_width: text ? text.getBoundingClientRect().width : 0,
                shown: getComputedStyle(g).display !== "none" && !g.classList.contains("hide"),
            };
        });
    }
    window.addEventListener("load", function () { setTimeout(function () {
        var result = { before: frames(), errors: errors };
        var wanted = "CLICKED";
        var clicked = Array.from(document.querySelectorAll("#frames g")).find(function (g) {
            return wanted && g.querySelector("title").textContent.startsWith(wanted);
        });
        if (clicked) { clicked.dispatchEvent(new MouseEvent("click", { bubbles: true })); result.after = frames(); }
        var element = document.createElementNS("http://www.w3.org/2000/svg", "desc");
        element.id = ["measured", "frames"].join("-");
        element.textContent = JSON.stringify(result);
        document.documentElement.appendChild(element);
    }, 100); });
})();
