using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Models.Layers;
using static TorchSharp.torch;

namespace Cluster.Models.Tests;

public sealed class ModelRegistryTests
{
    public static TheoryData<string> Models => [.. ModelCatalog.All.Select(model => model.Name)];

    [Fact]
    public void Catalogue_ListsJustTheModelsThatCanBeBuilt()
    {
        ModelCatalog.All.Select(model => model.Name).Order(StringComparer.Ordinal).ShouldBe(ModelRegistry.Names);
        Named(model => model.ChannelGroups > 0 || !model.DividedChannels.IsEmpty)
            .ShouldBe(ModelRegistry.Names.Where(name => ModelRegistry.SplitsOf(name).HasFlag(NetworkSplits.Channels)));
        Named(model => !model.DividedUnits.IsEmpty)
            .ShouldBe(ModelRegistry.Names.Where(name => ModelRegistry.SplitsOf(name).HasFlag(NetworkSplits.FullyConnected)));

        static IEnumerable<string> Named(Func<ModelDefinition, bool> predicate) =>
            ModelCatalog.All.Where(predicate).Select(model => model.Name).Order(StringComparer.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Catalogue_KnowsWhichModelsNormaliseOverTheBatch(string name)
    {
        ModelCatalog.TryGet(name, out var model).ShouldBeTrue();
        using var network = ModelRegistry.CreateToLoad(name, new Dictionary<string, object>());

        network.modules().Any(module => module is BatchNormalization).ShouldBe(model!.BatchNorm);
        network.modules().ShouldAllBe(
            module => module.GetType().Name != "BatchNorm2d", "ranks can share the statistics of Layers.BatchNormalization only");
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Catalogue_KnowsHowManyUnitsAPipelineCanCutApart(string name)
    {
        ModelCatalog.TryGet(name, out var model).ShouldBeTrue();
        using var network = ModelRegistry.CreateToLoad(name, new Dictionary<string, object>());

        network.Units.Count.ShouldBe(model!.Units);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void CatalogueDefaults_AreTheModelsOwn(string name)
    {
        using var scope = NewDisposeScope();
        ModelCatalog.TryGet(name, out var model).ShouldBeTrue();
        DataCatalog.TryGet(DataCatalog.FashionMnist, out var data).ShouldBeTrue();
        var all = model!.Options.ToDictionary(option => option.Name, option => Plain(option.DefaultFor(data!)));
        var fromData = all.Where(option => model.Option(option.Key)!.DefaultFromData is not null).ToDictionary();
        Shrink(all);
        Shrink(fromData);

        using var explicitly = ModelRegistry.Create(name, all, seed: 1);
        using var implicitly = ModelRegistry.Create(name, fromData, seed: 1);

        explicitly.Shape.ShouldBe(new ClassifierShape(data!.Channels, data.Height, data.Classes));
        foreach (var (parameter, value) in explicitly.named_parameters())
            value.data<float>().ToArray().ShouldBe(implicitly.get_parameter(parameter)!.data<float>().ToArray(), parameter);

        // Full-width nets would only take longer; their default width is covered by the count of their parameters.
        void Shrink(Dictionary<string, object> options)
        {
            foreach (var width in (string[])["width", "widthMultiplier"])
            {
                if (model!.Option(width) is not null)
                    options[width] = 0.0625;
            }
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void EveryCatalogueOption_IsReadByTheModel(string name)
    {
        ModelCatalog.TryGet(name, out var model).ShouldBeTrue();
        foreach (var option in model!.Options)
        {
            var wrongType = new Dictionary<string, object> { [option.Name] = new object() };
            Should.Throw<ModelOptionException>(() => ModelRegistry.Create(name, wrongType, seed: 1))
                .Message.ShouldContain($"model.options.{option.Name} is");
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void UnknownOption_IsRefusedByName(string name)
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 28, ["widht"] = 0.1 };

        var error = Should.Throw<ModelOptionException>(() => ModelRegistry.Create(name, options, seed: 1));

        error.Message.ShouldContain("widht is not an option of " + name);
        error.Message.ShouldContain("inputSize");
    }

    [Theory]
    [InlineData("lenet5", "inputSize", 30, "28 or 32")]
    [InlineData("lenet5", "activation", "sigmoid", "tanh, relu")]
    [InlineData("alexnet", "inputSize", 100, "28 to 64")]
    [InlineData("alexnet", "width", 0.0, "number")]
    [InlineData("alexnet", "width", double.NaN, "number")]
    [InlineData("alexnet", "dropout", 1.0, "number")]
    [InlineData("alexnet", "classes", 1, "whole number from 2")]
    public void OptionOutOfRange_IsRefusedWithTheRemedy(string name, string option, object value, string remedy)
    {
        var error = Should.Throw<ModelOptionException>(
            () => ModelRegistry.Create(name, new Dictionary<string, object> { [option] = value }, seed: 1));

        error.Message.ShouldContain($"model.options.{option} is {value}");
        error.Message.ShouldContain(remedy);
    }

    [Fact]
    public void ShortcutOfAPlainNet_IsRefused()
    {
        var options = new Dictionary<string, object> { ["residual"] = false, ["shortcut"] = "A" };

        Should.Throw<ModelOptionException>(() => ModelRegistry.Create("resnet18", options, seed: 1))
            .Message.ShouldContain("model.options.shortcut is A; a plain net (residual false) has none");
    }

    [Fact]
    public void UnknownModel_IsRefusedWithTheNames()
    {
        Should.Throw<ModelOptionException>(() => ModelRegistry.Create("resnet", new Dictionary<string, object>(), seed: 1))
            .Message.ShouldBe("model.name is resnet, which is not in the zoo; choose one of: " + string.Join(", ", ModelRegistry.Names));
    }

    [Fact]
    public void ModelWithoutTowers_CannotBeSplit()
    {
        Should.Throw<ModelOptionException>(
                () => ModelRegistry.CreatePart("lenet5", new Dictionary<string, object>(), 1, new ChannelSplit(0, 2, x => x, x => x)))
            .Message.ShouldContain("lenet5, which has no split by model");
    }

    private static object Plain(OptionValue value) => value.KindCase switch
    {
        OptionValue.KindOneofCase.BoolValue => value.BoolValue,
        OptionValue.KindOneofCase.IntValue => value.IntValue,
        OptionValue.KindOneofCase.DoubleValue => value.DoubleValue,
        _ => value.StringValue,
    };
}
