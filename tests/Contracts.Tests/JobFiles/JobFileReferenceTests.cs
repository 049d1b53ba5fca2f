using System.Text;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>examples/README.md shows every field, model and data set; this holds it to the code.</summary>
public sealed class JobFileReferenceTests
{
    [Fact]
    public void Readme_ShowsEveryFieldWithItsDefaultAndRange() => Readme().ShouldContain(Fields(), Case.Sensitive);

    [Fact]
    public void Readme_ShowsEveryModelWithItsOptions() => Readme().ShouldContain(Models(), Case.Sensitive);

    [Fact]
    public void Readme_ShowsEveryDataSet() => Readme().ShouldContain(DataSets(), Case.Sensitive);

    private static string Fields()
    {
        var table = new StringBuilder("| key | default | must be | what it is |\n|---|---|---|---|\n");
        foreach (var field in JobFields.All.Concat(JobFields.OfEntries))
        {
            var belongs = field.BelongsTo is { } owner ? $"; only with {owner}" : "";
            table.Append($"| `{field.Path}` | {field.DefaultText} | {field.Range} | {field.Meaning}{belongs} |\n");
        }

        return table.ToString();
    }

    private static string Models()
    {
        var table = new StringBuilder("| model | option | default | must be | what it is |\n|---|---|---|---|---|\n");
        foreach (var (model, option) in ModelCatalog.All.SelectMany(model => model.Options.Select(option => (model, option))))
        {
            var byDefault = option.Default is { } value ? OptionDefinition.Text(value) : "from the data";
            table.Append($"| `{model.Name}` | `{option.Name}` | {byDefault} | {option.Allowed} | {option.Meaning} |\n");
        }

        return table.ToString();
    }

    private static string DataSets()
    {
        var table = new StringBuilder("| data | training, test samples | classes | what it is |\n|---|---|---|---|\n");
        foreach (var data in DataCatalog.All)
        {
            var (samples, classes) = data.IsFolder
                ? ("the folder's", "the job file's")
                : ($"{data.TrainSamples}, {data.TestSamples}", $"{data.Classes}");
            table.Append($"| `{data.Name}` | {samples} | {classes} | {data.Summary} |\n");
        }

        return table.ToString();
    }

    private static string Readme() => File.ReadAllText(Path.Combine(Repository.Root, "examples", "README.md"));
}
