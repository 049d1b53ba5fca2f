using System.Text.Json;
using System.Text.Json.Serialization;
using Cluster.Contracts.Catalog;

namespace Cluster.Cli.Models;

/// <summary>What the list says of one model.</summary>
/// <param name="Input">Of the published network: channels, height, width.</param>
/// <param name="Parameters">Trainable, of the published network.</param>
/// <param name="MultiplyAdds">For one image.</param>
/// <param name="Top1">ImageNet accuracy in percent as published by others; null where none was.</param>
/// <param name="AccuracySource">Where the accuracy comes from, or a figure on other data.</param>
internal sealed record ModelLine(
    string Name, string Family, string Paper, string Input, int Classes, long Parameters, long MultiplyAdds, double? Top1, double? Top5,
    string AccuracySource, string Summary, IReadOnlyList<string> Options)
{
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static ModelLine Of(ModelDefinition model)
    {
        var facts = model.Facts;
        return new ModelLine(
            model.Name, model.Family, facts.Paper, $"{facts.Channels}×{facts.InputSize}×{facts.InputSize}", facts.Classes, facts.Parameters,
            facts.MultiplyAdds, facts.Top1, facts.Top5, facts.Source, model.Summary, [.. model.Options.Select(option => option.Name)]);
    }
}
