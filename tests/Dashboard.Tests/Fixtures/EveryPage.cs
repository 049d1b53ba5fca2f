namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A page of the showcase.</summary>
/// <param name="Name">For files.</param>
/// <param name="Sign">What stands on it once it has what it shows.</param>
/// <param name="Stops">A key reaches more than so many things: the menu's, and some of the page.</param>
internal sealed record EveryPage(string Name, string Address, string Sign, int Stops = 8)
{
    /// <summary>Those that ask no scheduler for anything.</summary>
    public static IReadOnlyList<string> Alone { get; } = ["not-found", "sign-in"];

    public static IReadOnlyList<EveryPage> Of(Showcase showcase) =>
    [
        new("overview", "/", ".attention li"),
        new("jobs", "/jobs", "table.jobs tbody tr"),
        new("job", $"/jobs/{showcase.Running.Id}", "[data-chart=loss] canvas"),
        new("samples", $"/jobs/{showcase.Running.Id}/samples?epoch=7", ".samples img"),
        new("new-job", $"/jobs/new?from={showcase.Running.Id}", "textarea"),
        new("experiments", "/experiments", "table.experiments tbody tr"),
        new("experiment", $"/experiments/{showcase.Search.Id}", ".parallel .best"),
        new("compare", $"/compare?jobs={string.Join(',', showcase.Compared.Select(job => job.Id[..8]))}", ".results tbody tr"),
        new("runs", "/runs", "table.runs tbody tr"),
        new("groups", "/runs?group=optimizer", "table.groups tbody tr"),
        new("queues", "/queues?queue=vision", "table.waiting tbody tr"),
        new("nodes", "/nodes", ".node"),
        new("data", "/data", "table.datasets tbody tr"),
        new("models", "/models", "table.models tbody tr"),
        new("model", "/models/lenet5", "table.layers tbody tr"),
        new("reports", "/reports", "table.hours tbody tr"),
        new("not-found", "/not-found", "h1:has-text('There is no such page')"),
        new("sign-in", "/sign-in", "main.sign-in input[name=token]", Stops: 1),
        new("misread", "/jobs?page=abc&sort=colour", "main:has(.misread) table.jobs tbody tr"),
    ];
}
