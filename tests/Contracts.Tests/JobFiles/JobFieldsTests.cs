using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class JobFieldsTests
{
    [Fact]
    public void All_NamesEveryFieldOfJobSpecOnce()
    {
        JobFields.All.Select(field => field.Path).ShouldBe(Leaves(JobSpec.Descriptor, ""), ignoreOrder: true);
    }

    [Fact]
    public void OfEntries_NamesEveryFieldOfEveryListOnce()
    {
        var lists = JobFields.KeysOf(JobSpec.Descriptor).Where(field => field is { IsRepeated: true, IsMap: false });

        JobFields.OfEntries.Select(field => field.Path)
            .ShouldBe(lists.SelectMany(list => Leaves(list.MessageType, $"{list.JsonName}.")), ignoreOrder: true);
    }

    [Fact]
    public void All_ShowsTheDefaultThatItFillsIn()
    {
        var spec = JobFile.Parse("model: lenet5\ndata: fashion-mnist");
        // Those whose default depends on others say so in words.
        var plain = JobFields.All.Where(
            field => field.AppliesTo(spec) && field.DefaultText != "required" && !field.DefaultText.Contains(' '));

        foreach (var field in plain)
            field.Text(field.Get(spec)!).ShouldBe(field.DefaultText, field.Path);
    }

    [Fact]
    public void All_AcceptsItsOwnDefaults()
    {
        var spec = JobFile.Parse("model: lenet5\ndata: fashion-mnist");

        foreach (var field in JobFields.All.Where(field => field.AppliesTo(spec)))
            field.Accepts(field.Get(spec)!).ShouldBeTrue(field.Path);
    }

    private static IEnumerable<string> Leaves(MessageDescriptor message, string prefix) => message.Fields.InDeclarationOrder()
        .Where(field => !field.IsRepeated)
        .SelectMany(field => field.FieldType == FieldType.Message && field.MessageType != Duration.Descriptor
            ? Leaves(field.MessageType, $"{prefix}{field.JsonName}.")
            : [prefix + field.JsonName]);
}
