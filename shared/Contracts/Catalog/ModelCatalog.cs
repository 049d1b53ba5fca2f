using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Cluster.Contracts.Catalog;

/// <summary>The models that a job can name. shared/Models builds each of them; a test there holds the two lists together.</summary>
public static class ModelCatalog
{
    /// <summary>Option names that every model has, since they follow from the data.</summary>
    public const string Classes = "classes", Channels = "channels", InputSize = "inputSize";

    public static ImmutableArray<ModelDefinition> All { get; } =
    [
        new("lenet5", "LeNet", ChannelGroups: 0,
        [
            SharedOptions.Classes,
            SharedOptions.Channels,
            OptionDefinition.FromData(InputSize, data => data.Height, "28 or 32", size => size is 28 or 32,
                "pixels a side; at 28 the first convolution pads by 2, at 32 by none"),
            OptionDefinition.Word("activation", "tanh", ["relu", "tanh"], "non-linearity after each hidden layer"),
            OptionDefinition.Word("init", "paper", ["paper", "he"], "paper: uniform within 2.4/fan-in; he: normal, variance 2/fan-in"),
        ], "LeNet-5 with a dense C3: LeCun et al. 1998, section II")
        {
            Units = 5,
            Facts = new("LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document recognition", 1, 32, 10,
                61_706, 416_520),
        },

        new("alexnet", "AlexNet", ChannelGroups: 2,
        [
            SharedOptions.Classes,
            SharedOptions.Channels,
            OptionDefinition.FromData(InputSize, data => data.Height, "224 or 28 to 64", size => size is 224 or (>= 28 and <= 64),
                "pixels a side; 224 is the paper's net, 28 to 64 builds a stem with smaller strides"),
            OptionDefinition.Number("width", 1.0, "more than 0 and at most 1", width => width is > 0 and <= 1,
                "factor on every layer's channels and hidden units"),
            OptionDefinition.Flag("lrn", true, "local response normalisation after the first two convolutions"),
            OptionDefinition.Word("pooling", "overlapping", ["overlapping", "plain"],
                "windows of 3 pixels that overlap, as in the paper, or of 2 that do not"),
            OptionDefinition.Number("dropout", 0.5, "at least 0 and less than 1", dropout => dropout is >= 0 and < 1,
                "probability with which a unit of the two hidden fully connected layers is dropped"),
            SharedOptions.DropoutForm,
            OptionDefinition.Word("init", "paper", ["paper", "he"],
                "paper: normal, σ 0.01, some biases 1 (needs an ImageNet-sized budget); he: normal, variance 2/fan-in"),
        ], "AlexNet of 2012 in two towers: Krizhevsky et al. 2012")
        {
            Units = 8,
            Facts = new("Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks", 3, 224,
                1000, 60_965_224, 724_406_816)
            {
                Top1 = 62.5, Top5 = 83.0, Source = "paper, LSVRC-2010 test, ten crops",
            },
        },

        .. ClassicModels.All,
        .. VggModels.All,
        .. InceptionModels.All,
        .. ResNetModels.All,
        .. MobileNetModels.All,
    ];

    public static bool TryGet(string name, [NotNullWhen(true)] out ModelDefinition? model)
    {
        model = All.FirstOrDefault(candidate => candidate.Name == name);
        return model is not null;
    }
}
